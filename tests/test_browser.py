"""What a person does first: start the program, open the page that it prints, mention the bot, read the answer."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.processes import running

CHROMIUM = "/usr/bin/chromium"
# Without these Chromium looks for its maker's servers at every start; as root it needs the first.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
SCREENSHOTS = Path(__file__).parent / "screenshots"
PROMPT = "the best thing about mondays is"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """The workspace's page, of a bot that was started as `make run` starts it."""
    async with running("run", cwd=tmp_path, SANDBOX_PORT="0") as bot, async_playwright() as playwright:
        found = re.search(r"http://\S+", await bot.ready())
        assert found
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = await browser.new_page(viewport={"width": 1200, "height": 680})
        await opened.goto(found[0])
        yield opened
        await browser.close()


async def test_a_person_mentions_the_bot_and_reads_its_answer(page: Page) -> None:
    composer = page.get_by_placeholder("Message #general")
    await composer.fill(f"@millzbot {PROMPT}")
    await composer.press("Enter")
    thread = page.get_by_role("log", name="Replies")
    await expect(thread.get_by_text("1 reply")).to_be_visible(timeout=30_000)
    await expect(thread.get_by_text("APP")).to_be_visible()
    await expect(page.get_by_role("log", name="Messages").get_by_text("1 reply")).to_be_visible()
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / "answer.png")
    assert (SCREENSHOTS / "answer.png").stat().st_size > 10_000


async def test_a_person_types_the_command_and_reads_a_whole_post(page: Page) -> None:
    composer = page.get_by_placeholder("Message #general")
    await composer.fill(f"/millz {PROMPT}")
    await composer.press("Enter")
    messages = page.get_by_role("log", name="Messages")
    await expect(messages.get_by_text(re.compile(PROMPT))).to_be_visible(timeout=30_000)


async def test_a_person_asks_what_the_bot_is(page: Page) -> None:
    composer = page.get_by_placeholder("Message #general")
    await composer.fill("/millz help")
    await composer.press("Enter")
    messages = page.get_by_role("log", name="Messages")
    await expect(messages.get_by_text("I am a bot")).to_be_visible(timeout=30_000)
    await expect(messages.get_by_text("Only visible to you")).to_be_visible()

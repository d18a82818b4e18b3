"""The sandbox's page, in the browser that the machine has."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond, AsyncSay, AsyncSetStatus
from slack_sdk.web.async_client import AsyncWebClient

from app.sandbox import App, Sandbox, Tokens, serve

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SCREENSHOTS = Path(__file__).parent / "screenshots"
Json = dict[str, Any]
HOME_APP = App(
    shortcuts=(("queue", "Queue for X"),),
    events=frozenset({"app_mention", "message.im", "app_home_opened"}),
    home_tab=True,
)

pytestmark = [
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"{CHROMIUM} is not there"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(app=HOME_APP) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def bolt(sandbox: Sandbox) -> AsyncIterator[AsyncApp]:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url, session=session)
        app = AsyncApp(client=client)
        handler = AsyncSocketModeHandler(app, sandbox.app_token)
        await handler.connect_async()
        await sandbox.until(lambda: sandbox.connections)
        yield app
        await handler.close_async()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Page]:
    """The page, open; a test fails where the page has reported an error."""
    opened = await browser.new_page(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(10_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    await opened.goto(sandbox.page_url)
    await expect(opened.locator(".welcome")).to_be_visible()
    yield opened
    await opened.close()
    assert faults == []


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str) -> Json:
    return {"text": plain(text), "value": text}


def button(action_id: str, text: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


async def type_and_send(page: Page, text: str) -> None:
    await page.get_by_role("combobox", name="Message").fill(text)
    await page.keyboard.press("Enter")


async def test_a_mention_is_typed_and_its_answer_read(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    thinking = asyncio.Event()

    @bolt.event("app_mention")
    async def answer(event: Json, say: AsyncSay, set_status: AsyncSetStatus) -> None:
        await set_status("is thinking…")
        await thinking.wait()
        await say("that they end eventually", thread_ts=event["ts"])

    await page.get_by_role("button", name="@millzbot the best thing about mondays is").click()
    await page.keyboard.press("Enter")
    thread = page.get_by_role("complementary", name="Thread")
    await expect(thread.get_by_text("millzbot is thinking")).to_be_visible()
    thinking.set()
    await expect(thread.get_by_text("that they end eventually")).to_be_visible()
    await expect(thread.get_by_text("is thinking")).to_be_hidden()
    await expect(page.get_by_role("button", name="1 reply that they end eventually")).to_be_visible()
    assert sandbox.messages(sandbox.channel("general"))[0].pings == (sandbox.bot,)

    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / "sandbox-mention.png")
    await page.keyboard.press("Escape")
    await expect(thread).to_be_hidden()


async def test_names_and_commands_complete_and_whispers_say_so(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    @bolt.command("/millz")
    async def help_(ack: AsyncAck, respond: AsyncRespond) -> None:
        await ack()
        await respond("*What I do* is `this`")

    composer = page.get_by_role("combobox", name="Message #general")
    await composer.press_sequentially("hello @mil")
    await page.keyboard.press("Enter")
    await expect(composer).to_have_value("hello @millzbot ")
    await composer.fill("/mi")
    await page.keyboard.press("Tab")
    await expect(composer).to_have_value("/millz ")
    await page.keyboard.type("help")
    await page.keyboard.press("Enter")
    whisper = page.get_by_role("article").filter(has_text="Only visible to you")
    await expect(whisper.locator("b", has_text="What I do")).to_be_visible()
    await expect(whisper.locator("code")).to_have_text("this")


async def test_what_the_bot_writes_is_never_markup(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script> <javascript:alert(3)|click> [x](javascript:alert(4))"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": evil}}
    rich = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": evil}]}],
    }
    link = {"type": "link", "url": "javascript:alert(5)", "text": "go"}
    linked = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [link]}]}
    await bolt.client.chat_postMessage(channel="#general", text=evil)
    await bolt.client.chat_postMessage(channel="#general", text="blocks", blocks=[section, rich, linked])
    await expect(page.get_by_role("article")).to_have_count(2)
    assert await page.locator("article img, article script, article a").count() == 0


async def test_every_block_is_drawn_or_labelled(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    items = [{"type": "rich_text_section", "elements": [{"type": "text", "text": "one", "style": {"bold": True}}]}]
    blocks: list[Json] = [
        {"type": "header", "text": plain("A header")},
        {"type": "divider"},
        {"type": "section", "fields": [plain("left"), plain("right")]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "small *print*"}]},
        {"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "bullet", "elements": items}]},
        {"type": "image", "image_url": "https://example.com/x.png", "alt_text": "a sunset"},
        {"type": "video", "title": plain("x")},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": "not a list"}]},
    ]
    await bolt.client.chat_postMessage(channel="#general", text="all", blocks=blocks)
    message = page.get_by_role("article")
    for text in ("A header", "left", "print", "one", "Image: a sunset", "video: not drawn", "rich_text: not drawn"):
        await expect(message.get_by_text(text)).to_be_visible()


async def test_a_card_is_confirmed_and_answered(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    done: list[str] = []

    @bolt.action("reject")
    async def reject(ack: AsyncAck, respond: AsyncRespond) -> None:
        await ack()
        await respond("Rejected.", replace_original=True)

    @bolt.action("more")
    async def more(ack: AsyncAck, action: Json) -> None:
        await ack()
        done.append(action["selected_option"]["value"])
        sandbox.slack.space.tell("chosen", done)

    confirm = {"title": plain("Sure?"), "text": plain("Gone for good."), "confirm": plain("Yes"), "deny": plain("No")}
    menu = {"type": "overflow", "action_id": "more", "options": [option("Post now"), option("Why")]}
    hidden = button("secret", "For Robin", visible_to_user_ids=[sandbox.colleague])
    row = {"type": "actions", "elements": [button("reject", "Reject", confirm=confirm), hidden, menu]}
    await bolt.client.chat_postMessage(channel=sandbox.review_channel, text="A card", blocks=[row])

    await page.get_by_role("button", name="review").click()
    await expect(page.get_by_role("button", name="For Robin")).to_have_count(0)
    await page.get_by_role("button", name="More", exact=True).click()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await sandbox.until(lambda: done)
    assert done == ["Why"]
    for answer in ("No", "Yes"):
        await page.get_by_role("button", name="Reject").click()
        await page.get_by_role("dialog").get_by_role("button", name=answer).click()
    await expect(page.get_by_text("Rejected.")).to_be_visible()
    assert len(sandbox.calls("response_url")) == 1


def input_(block_id: str, label: str, element: Json) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": {**element, "action_id": "v"}}


async def test_a_modal_shows_what_is_wrong_and_keeps_what_was_typed(
    page: Page, sandbox: Sandbox, bolt: AsyncApp
) -> None:
    sent: list[Json] = []

    @bolt.command("/millz")
    async def edit(ack: AsyncAck, command: Json, client: AsyncWebClient) -> None:
        text = {"type": "plain_text_input", "multiline": True, "max_length": 280}
        when = {"type": "datetimepicker", "initial_date_time": 1_700_000_040}
        kind = {"type": "static_select", "options": [option("dry"), option("drier")]}
        view = {
            "type": "modal",
            "callback_id": "edit",
            "title": plain("Edit"),
            "submit": plain("Save"),
            "blocks": [input_("text", "Text", text), input_("when", "Not before", when), input_("kind", "Kind", kind)],
        }
        await client.views_open(trigger_id=command["trigger_id"], view=view)
        await ack()

    @bolt.view("edit")
    async def save(ack: AsyncAck, view: Json) -> None:
        sent.append(view["state"]["values"])
        too_long = len(sent[-1]["text"]["v"]["value"]) > 10
        await (ack(response_action="errors", errors={"text": "301 of 280"}) if too_long else ack())

    await type_and_send(page, "/millz edit")
    dialog = page.get_by_role("dialog", name="Edit")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_text("Please complete this required field.")).to_have_count(2)
    await dialog.get_by_label("Text").fill("far too long to post")
    await dialog.get_by_label("Kind").select_option("drier")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_text("301 of 280")).to_be_visible()
    await expect(dialog.get_by_label("Text")).to_have_value("far too long to post")
    await dialog.get_by_label("Text").fill("short")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    assert sent[-1]["when"]["v"]["selected_date_time"] == 1_700_000_040
    assert sent[-1]["kind"]["v"]["selected_option"]["value"] == "drier"


async def test_the_home_tab_and_a_shortcut_are_used(page: Page, sandbox: Sandbox, bolt: AsyncApp) -> None:
    queued: list[str] = []

    @bolt.event("app_home_opened")
    async def publish(event: Json, client: AsyncWebClient) -> None:
        blocks = [{"type": "header", "text": plain("The queue")}]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    @bolt.message_shortcut("queue")
    async def queue(ack: AsyncAck, shortcut: Json) -> None:
        queued.append(shortcut["message"]["text"])
        await ack()

    await type_and_send(page, "a thought")
    message = page.get_by_role("article")
    await message.hover()
    await message.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name="Queue for X").click()
    await message.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name="Edit message").click()
    await page.get_by_role("textbox", name="Edit message").fill("a better thought")
    await page.keyboard.press("Enter")
    await expect(message).to_contain_text("a better thought (edited)")
    assert queued == ["a thought"]

    await page.get_by_role("button", name="millzbot").click()
    await page.get_by_role("tab", name="Home").click()
    await expect(page.get_by_role("heading", name="The queue")).to_be_visible()


async def test_a_failing_app_is_told_to_the_person(page: Page, sandbox: Sandbox) -> None:
    client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
    row = {"type": "actions", "elements": [button("go", "Go")]}
    await client.chat_postMessage(channel="#general", text="A card", blocks=[row])
    await page.get_by_role("button", name="Go", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("millzbot is not connected.")
    await type_and_send(page, "/millz hello")
    await expect(page.get_by_text("/millz failed with the error “dispatch_failed”.")).to_be_visible()


async def test_on_a_phone_the_list_and_the_thread_lie_over_the_channel(page: Page, sandbox: Sandbox) -> None:
    await page.set_viewport_size({"width": 390, "height": 780})
    rail = page.get_by_role("navigation", name="Conversations")
    await expect(rail).to_be_hidden()
    await page.get_by_role("button", name="Conversations").click()
    await rail.get_by_role("button", name="random").click()
    await expect(page.get_by_role("heading", name="Welcome to #random.")).to_be_visible()
    await type_and_send(page, "hello")
    await page.get_by_role("article").click()
    await page.get_by_role("button", name="Reply in thread").click()
    await page.get_by_role("combobox", name="Reply").fill("and goodbye")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("complementary").get_by_text("and goodbye")).to_be_visible()
    await page.get_by_role("button", name="Back").click()
    await expect(page.get_by_role("button", name="1 reply and goodbye")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_the_page_comes_back_after_a_restart(browser: Browser) -> None:
    async with serve() as first:
        port = int(first.page_url.rsplit(":", 1)[1].strip("/"))
        page = await browser.new_page()
        await page.goto(first.page_url)
        await expect(page.locator(".welcome")).to_be_visible()
    await expect(page.get_by_text("Reconnecting to the sandbox…")).to_be_visible()
    async with serve(port=port, tokens=Tokens()) as second:
        await second.say(second.channel("general"), "we are back")
        await expect(page.get_by_text("we are back")).to_be_visible(timeout=15_000)
        await page.close()


async def test_a_foreign_page_cannot_drive_the_sandbox(page: Page, browser: Browser, sandbox: Sandbox) -> None:
    foreign = await browser.new_page()
    tried = await foreign.evaluate(
        """async (url) => {
            const body = JSON.stringify({channel: "C0GENERAL", text: "gotcha"});
            const posts = [{}, {mode: "no-cors"}].map((how) =>
                fetch(`${url}page/say`, {method: "POST", body, ...how}).then((a) => a.text(), () => "refused"));
            const feed = new Promise((done) => {
                const socket = new WebSocket(url.replace("http", "ws") + "feed");
                socket.onopen = () => done("opened");
                socket.onerror = () => done("refused");
            });
            const read = fetch(url).then((a) => a.text(), () => "refused");
            return Promise.all([...posts, feed, read]);
        }""",
        sandbox.page_url,
    )
    await foreign.close()
    assert tried == ["refused", "", "refused", "refused"]
    assert sandbox.messages(sandbox.channel("general")) == []

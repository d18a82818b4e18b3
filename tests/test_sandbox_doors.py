"""Who may drive the sandbox: its own page and its own bot, nobody else."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app import sandbox as package
from app.sandbox import Sandbox, Tokens, serve

TOKENS = Tokens(bot="xoxb-1-bot", app="xapp-1-app", page="page-token")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(tokens=TOKENS) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def own(sandbox: Sandbox, **changed: str | None) -> dict[str, str]:
    """The headers of the page's own requests; None takes one out."""
    headers = {"Origin": sandbox.page_url.rstrip("/"), "X-Sandbox-Token": TOKENS.page} | changed
    return {name.replace("_", "-"): value for name, value in headers.items() if value is not None}


def said(sandbox: Sandbox) -> list[str]:
    return [one.text for one in sandbox.messages(sandbox.channel("general"))]


MESSAGE = {"channel": "C0GENERAL", "text": "hello"}


async def test_the_page_s_own_request_is_served(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{sandbox.page_url}page/say", json=MESSAGE, headers=own(sandbox)) as answer:
        assert (await answer.json())["result"] == sandbox.messages(sandbox.channel("general"))[0].ts


async def test_localhost_is_the_same_host(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    host = sandbox.page_url.removeprefix("http://").rstrip("/").replace("127.0.0.1", "localhost")
    headers = own(sandbox, Host=host, Origin=f"http://{host}")
    async with http.post(f"{sandbox.page_url}page/say", json=MESSAGE, headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": None},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:1"},
        {"X-Sandbox-Token": None},
        {"X-Sandbox-Token": "guess"},
        {"X-Sandbox-Token": TOKENS.bot},
        {"X-Sandbox-Token": "\N{SNOWMAN}"},
    ],
)
async def test_another_origin_or_token_is_refused(
    sandbox: Sandbox, http: aiohttp.ClientSession, changed: dict[str, str | None]
) -> None:
    async with http.post(f"{sandbox.page_url}page/say", json=MESSAGE, headers=own(sandbox, **changed)) as answer:
        assert answer.status == 403
    assert said(sandbox) == []


@pytest.mark.parametrize("path", ["", "static/script.js", "api/auth.test", "link/", "feed", "page/say", "nowhere"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:80"])
async def test_another_host_is_refused_everywhere(
    sandbox: Sandbox, http: aiohttp.ClientSession, path: str, host: str
) -> None:
    headers = own(sandbox, Host=host, Origin=f"http://{host}")
    async with http.get(f"{sandbox.page_url}{path}", headers=headers) as answer:
        assert answer.status == 421
        assert TOKENS.page not in await answer.text()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "own"])
async def test_no_web_page_may_call_what_is_for_the_bot(
    sandbox: Sandbox, http: aiohttp.ClientSession, origin: str
) -> None:
    sent = {"Origin": sandbox.page_url.rstrip("/") if origin == "own" else origin}
    url = sandbox.slack.response_urls.new("commands", sandbox.channel("general"), sandbox.person)
    bot = sent | {"Authorization": f"Bearer {TOKENS.bot}"}
    async with http.post(f"{sandbox.api_url}chat.postMessage", json=MESSAGE, headers=bot) as answer:
        assert answer.status == 403
    async with http.post(url, json={"text": "hello"}, headers=sent) as answer:
        assert answer.status == 403
    assert said(sandbox) == []


async def test_the_feed_wants_its_own_origin(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    for origin in (None, "https://evil.example"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{sandbox.page_url}feed", origin=origin)
        assert refused.value.status == 403


async def test_the_feed_wants_the_token_first(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    origin = sandbox.page_url.rstrip("/")
    async with http.ws_connect(f"{sandbox.page_url}feed", origin=origin) as feed:
        await feed.send_str("guess")
        assert (await feed.receive()).data == 4401
    async with http.ws_connect(f"{sandbox.page_url}feed", origin=origin) as feed:
        await feed.send_str(TOKENS.page)
        assert (await feed.receive_json())["kind"] == "state"


async def test_the_feed_tells_the_person_what_is_theirs_to_see(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{sandbox.page_url}feed", origin=sandbox.page_url.rstrip("/")) as feed:
        await feed.send_str(TOKENS.page)
        state = await feed.receive_json()
        assert {one["name"] for one in state["channels"]} == {"general", "random", "review", "You"}
        await sandbox.command("/nothing", channel=sandbox.channel("general"), user=sandbox.colleague)
        await sandbox.say("D0ROBIN", "secret", user=sandbox.colleague)
        await sandbox.say(sandbox.channel("general"), "for all")
        told = await feed.receive_json()
    assert (told["kind"], told["message"]["text"]) == ("message", "for all")


async def test_a_feed_that_nobody_reads_does_not_grow_for_ever(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{sandbox.page_url}feed", origin=sandbox.page_url.rstrip("/")) as feed:
        await feed.send_str(TOKENS.page)
        await feed.receive_json()
        for _ in range(1100):
            sandbox.slack.space.tell("socket", 0)
        frames = [frame async for frame in feed]
    assert feed.close_code == 4408
    assert len(frames) <= 1000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{no json", "JSON"),
        ("[1]", "object"),
        ("[" * 100_000, "JSON"),
        ('{"channel": "C0GENERAL"}', "text is missing"),
        ('{"channel": 5, "text": "hello"}', "channel must be a text"),
        ('{"channel": "C0GENERAL", "text": null}', "text must be a text"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(
    sandbox: Sandbox, http: aiohttp.ClientSession, body: str, says: str
) -> None:
    async with http.post(f"{sandbox.page_url}page/say", data=body, headers=own(sandbox)) as answer:
        assert answer.status == 400
        assert says in await answer.text()


@pytest.mark.parametrize(
    ("deed", "body", "error"),
    [
        ("say", {"channel": "C0NOWHERE", "text": "hello"}, "channel_not_found"),
        ("say", {"channel": "D0ROBIN", "text": "hello"}, "channel_not_found"),
        ("say", {"channel": "C0GENERAL", "text": " "}, "no_text"),
        ("say", {"channel": "C0GENERAL", "text": "hello", "thread_ts": "1.1"}, "message_not_found"),
        ("edit", {"channel": "C0GENERAL", "ts": "1.1", "text": "hello"}, "message_not_found"),
        ("click", {"channel": "C0GENERAL", "ts": "1.1", "action_id": "x"}, "message_not_found"),
        ("submit", {"view": "V1", "values": {}}, "view_not_found"),
    ],
)
async def test_what_is_not_there_is_told_so(
    sandbox: Sandbox, http: aiohttp.ClientSession, deed: str, body: dict[str, Any], error: str
) -> None:
    async with http.post(f"{sandbox.page_url}page/{deed}", json=body, headers=own(sandbox)) as answer:
        assert await answer.json() == {"ok": False, "error": error, "errors": {}}


async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    async with http.get(sandbox.page_url) as answer:
        html, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert TOKENS.page in html
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?:", html)
    for name in re.findall(r'(?:src|href)="/(static/[^"]+)"', html):
        async with http.get(f"{sandbox.page_url}{name}") as answer:
            assert answer.status == 200
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_only_the_page_s_files_are_served(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    for name in ("index.html", "nothing.js", "..%2fpage.py", "%2e%2e/page.py"):
        async with http.get(f"{sandbox.page_url}static/{name}") as answer:
            assert answer.status == 404


async def test_tokens_are_new_at_every_start_and_not_shown() -> None:
    first, second = Tokens(), Tokens()
    assert first.bot.startswith("xoxb-")
    assert first.app.startswith("xapp-")
    assert len({first.bot, first.app, first.page, second.bot, second.app, second.page}) == 6
    assert first.bot not in repr(first)


def test_the_page_never_makes_markup_of_text() -> None:
    scripts = Path(str(package.__file__)).parent.joinpath("static").glob("*.js")
    assert not [
        one.name for one in scripts if re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(", one.read_text())
    ]

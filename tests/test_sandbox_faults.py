"""The sandbox misbehaving: lost sockets, doubled events, failing calls, limits."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from app.sandbox import NO_LIMITS, RESET, Fault, Sandbox, serve
from tests.fakes import FakeSeconds


@pytest.fixture
def clock() -> FakeSeconds:
    return FakeSeconds()


@pytest.fixture
async def sandbox(clock: FakeSeconds) -> AsyncIterator[Sandbox]:
    async with serve(clock=clock, ack_timeout_s=1.5) as running:
        yield running


@pytest.fixture
async def heard(sandbox: Sandbox) -> AsyncIterator[list[str]]:
    """The events that a Bolt app hears, as it connects, and connects again."""
    events: list[str] = []
    app = AsyncApp(client=AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url))

    @app.event("message")
    async def hear(body: dict[str, str]) -> None:
        events.append(body["event_id"])
        sandbox.slack.space.tell("heard", len(events))

    handler = AsyncSocketModeHandler(app, sandbox.app_token, ping_interval=0.2)
    await handler.connect_async()
    await sandbox.until(lambda: sandbox.connections)
    yield events
    await handler.close_async()


async def refused(slack: AsyncWebClient, text: str = "hello") -> tuple[int, str, str]:
    with pytest.raises(SlackApiError) as refusal:
        await slack.chat_postMessage(channel="#general", text=text)
    response = refusal.value.response
    return response.status_code, str(response["error"]), str(response.headers.get("Retry-After", ""))


async def test_a_dropped_socket_is_replaced(sandbox: Sandbox, heard: list[str]) -> None:
    sandbox.faults.drop_sockets()
    await sandbox.until(lambda: sandbox.connections == 0)
    await sandbox.until(lambda: sandbox.connections == 1)
    await sandbox.say(sandbox.dm, "still there?")
    assert len(await sandbox.until(lambda: heard)) == 1


async def test_a_frozen_socket_is_noticed_and_replaced(sandbox: Sandbox, heard: list[str]) -> None:
    sandbox.faults.freeze_sockets()
    before = len(sandbox.calls("apps.connections.open"))
    await sandbox.say(sandbox.dm, "lost at first, and delivered again")
    await sandbox.until(lambda: len(sandbox.calls("apps.connections.open")) > before)
    assert len(await sandbox.until(lambda: heard)) == 1


async def test_the_app_follows_a_disconnect_frame(sandbox: Sandbox, heard: list[str]) -> None:
    await sandbox.faults.ask_to_reconnect("warning")
    await sandbox.until(lambda: len(sandbox.calls("apps.connections.open")) == 2)
    await sandbox.until(lambda: sandbox.connections == 1)
    await sandbox.say(sandbox.dm, "over here")
    assert len(await sandbox.until(lambda: heard)) == 1


async def test_an_event_can_come_twice(sandbox: Sandbox, heard: list[str]) -> None:
    sandbox.faults.deliver_twice()
    await sandbox.say(sandbox.dm, "once")
    await sandbox.until(lambda: len(heard) == 2)
    assert heard[0] == heard[1]
    await sandbox.say(sandbox.dm, "and no more")
    await sandbox.until(lambda: len(heard) == 3)


async def test_an_event_comes_again_when_its_acknowledgement_is_lost(heard: list[str], sandbox: Sandbox) -> None:
    sandbox.faults.lose_acknowledgements()
    await sandbox.say(sandbox.dm, "once")
    await sandbox.until(lambda: len(heard) == 2)
    assert (sandbox.delivered, heard[0]) == (2, heard[1])


async def test_a_call_fails_before_its_work_or_after_it(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.faults.fail("chat.postMessage", Fault(500))
    sandbox.faults.fail("chat.postMessage", Fault(500, after_work=True))
    sandbox.faults.fail("chat.postMessage", Fault(429, retry_after_s=7))
    assert await refused(slack, "not posted") == (500, "internal_error", "")
    assert await refused(slack, "posted all the same") == (500, "internal_error", "")
    assert await refused(slack, "not now") == (429, "ratelimited", "7")
    await slack.chat_postMessage(channel="#general", text="well")
    assert [one.text for one in sandbox.messages(sandbox.channel("general"))] == ["posted all the same", "well"]
    assert [one.status for one in sandbox.calls("chat.postMessage")] == [500, 500, 429, 200]


@pytest.mark.parametrize("after_work", [False, True])
async def test_a_connection_is_cut(sandbox: Sandbox, slack: AsyncWebClient, *, after_work: bool) -> None:
    sandbox.faults.fail("chat.postMessage", Fault(RESET, after_work=after_work))
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await slack.chat_postMessage(channel="#general", text="hello")
    assert len(sandbox.messages(sandbox.channel("general"))) == after_work
    assert [one.status for one in sandbox.calls("chat.postMessage")] == [RESET]


async def test_a_call_is_slow_when_told_to(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.faults.fail("auth.test", Fault(slow_s=0.2))
    started = time.perf_counter()
    assert (await slack.auth_test())["ok"]
    assert time.perf_counter() - started >= 0.2
    assert sandbox.faults.taken("auth.test") == 1


async def test_healing_forgets_what_was_still_to_come(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.faults.fail("chat.postMessage", Fault(500), times=3)
    assert (await refused(slack))[0] == 500
    sandbox.faults.heal()
    await slack.chat_postMessage(channel="#general", text="better")


async def test_posts_to_a_channel_are_limited_to_one_a_second_after_a_burst(
    sandbox: Sandbox, slack: AsyncWebClient, clock: FakeSeconds
) -> None:
    for _ in range(5):
        await slack.chat_postMessage(channel="#general", text="hello")
    assert await refused(slack) == (429, "ratelimited", "1")
    await slack.chat_postMessage(channel="#review", text="another channel is another limit")
    clock.now += 1
    await slack.chat_postMessage(channel="#general", text="hello")
    assert (await refused(slack))[0] == 429


async def test_other_methods_are_limited_by_their_tier(
    sandbox: Sandbox, slack: AsyncWebClient, clock: FakeSeconds
) -> None:
    ts = (await slack.chat_postMessage(channel="#general", text="hello"))["ts"]
    for _ in range(50):
        await slack.chat_update(channel=sandbox.channel("general"), ts=ts, text="hello")
    with pytest.raises(SlackApiError) as refusal:
        await slack.chat_update(channel=sandbox.channel("general"), ts=ts, text="hello")
    assert refusal.value.response.headers["Retry-After"] == "2"
    clock.now += 1.2
    await slack.chat_update(channel=sandbox.channel("general"), ts=ts, text="hello")


async def test_limits_can_be_lifted_for_benchmarks() -> None:
    async with serve(limits=NO_LIMITS) as sandbox, aiohttp.ClientSession() as session:
        slack = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url, session=session)
        await asyncio.gather(*(slack.chat_postMessage(channel="#general", text="hello") for _ in range(20)))
        assert len(sandbox.messages(sandbox.channel("general"))) == 20

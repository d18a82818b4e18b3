"""The sandbox as Slack: the real Bolt and the real Socket Mode client live in it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond, AsyncSay, AsyncSetStatus
from slack_sdk.web.async_client import AsyncWebClient

from app.errors import StartError
from app.sandbox import Message, Sandbox, serve

Json = dict[str, Any]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve() as running:
        yield running


@pytest.fixture
async def hasty() -> AsyncIterator[Sandbox]:
    """A sandbox that does not wait long for an acknowledgement."""
    async with serve(ack_timeout_s=0.3) as running:
        yield running


@pytest.fixture
async def bolt(sandbox: Sandbox) -> AsyncIterator[AsyncApp]:
    """A Bolt app that is connected; its listeners are the test's."""
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url, session=session)
        app = AsyncApp(client=client)
        handler = AsyncSocketModeHandler(app, sandbox.app_token, ping_interval=1)
        await handler.connect_async()
        await sandbox.until(lambda: sandbox.connections == 1)
        yield app
        await handler.close_async()


def said_by_bot(sandbox: Sandbox, channel: str) -> list[Message]:
    return [one for one in sandbox.messages(channel) if one.user == sandbox.bot]


async def test_a_mention_is_answered_in_its_thread(sandbox: Sandbox, bolt: AsyncApp) -> None:
    @bolt.event("app_mention")
    async def answer(event: Json, say: AsyncSay, set_status: AsyncSetStatus) -> None:
        await set_status("is thinking…")
        await say(text=f"Echo: {event['text']}", thread_ts=str(event["ts"]))

    ts = await sandbox.say(sandbox.channel("general"), "@millzbot hello <you> & me")
    reply = (await sandbox.until(lambda: said_by_bot(sandbox, sandbox.channel("general"))))[0]

    assert reply.thread_ts == ts
    assert reply.text == f"Echo: <@{sandbox.bot}> hello &lt;you&gt; &amp; me"
    assert [(one.thread_ts, one.text) for one in sandbox.statuses()] == [(ts, "is thinking…"), (ts, "")]
    assert sandbox.messages(sandbox.channel("general"), thread_ts=ts)[-1] == reply


async def test_a_direct_message_reaches_the_app_and_so_do_its_edit_and_its_end(
    sandbox: Sandbox, bolt: AsyncApp
) -> None:
    heard: asyncio.Queue[Json] = asyncio.Queue()

    @bolt.event("message")
    async def hear(event: Json) -> None:
        await heard.put(event)

    ts = await sandbox.say(sandbox.dm, "good morning")
    said = await asyncio.wait_for(heard.get(), 5)
    await sandbox.edit(sandbox.dm, ts, "good evening")
    edited = await asyncio.wait_for(heard.get(), 5)
    await sandbox.delete(sandbox.dm, ts)
    deleted = await asyncio.wait_for(heard.get(), 5)

    assert (said["channel_type"], said["text"], said["user"]) == ("im", "good morning", sandbox.person)
    assert [one.get("subtype") for one in (said, edited, deleted)] == [None, "message_changed", "message_deleted"]
    assert (edited["previous_message"]["text"], edited["message"]["text"]) == ("good morning", "good evening")


async def test_what_the_app_says_in_a_direct_conversation_comes_back_to_it(sandbox: Sandbox) -> None:
    client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(sandbox)) as socket:
        await socket.receive_json()
        posted = await client.chat_postMessage(channel=sandbox.dm, text="hello to you")
        event = (await socket.receive_json())["payload"]["event"]
    assert (event["ts"], event["bot_id"], event["user"]) == (posted["ts"], "B0MILLZBOT", sandbox.bot)


async def test_where_the_app_is_not_a_member_a_mention_does_not_reach_it(sandbox: Sandbox, bolt: AsyncApp) -> None:
    @bolt.event("app_mention")
    async def answer(say: AsyncSay) -> None:
        await say("here")

    random = sandbox.channel("random")
    await sandbox.say(random, "@millzbot are you there")
    told = sandbox.messages(random)[-1]
    assert (told.ephemeral_to, told.user) == (sandbox.person, "USLACKBOT")
    assert "/invite @millzbot" in told.text

    await sandbox.command("/invite", "@millzbot", channel=random)
    await sandbox.say(random, "@millzbot and now")
    await sandbox.until(lambda: said_by_bot(sandbox, random))


async def test_a_slash_command_is_acknowledged_and_answered(sandbox: Sandbox, bolt: AsyncApp) -> None:
    @bolt.command("/millz")
    async def answer(ack: AsyncAck, respond: AsyncRespond, command: Json) -> None:
        await ack(f"looking at {command['text']}")
        await respond(f"found {command['text']}", response_type="in_channel")

    outcome = await sandbox.command("/millz", "@Robin & co", channel=sandbox.channel("random"))
    assert outcome.error == ""
    await sandbox.until(lambda: len(said_by_bot(sandbox, sandbox.channel("random"))) == 2)

    assert {(one.ephemeral_to, one.text) for one in said_by_bot(sandbox, sandbox.channel("random"))} == {
        (sandbox.person, f"looking at <@{sandbox.colleague}|Robin> &amp; co"),
        (None, f"found <@{sandbox.colleague}|Robin> &amp; co"),
    }


async def test_a_command_that_nobody_acknowledges_fails_as_in_slack(hasty: Sandbox) -> None:
    general = hasty.channel("general")
    assert (await hasty.command("/millz", channel=general)).error == "dispatch_failed"
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(hasty)):
        assert (await hasty.command("/millz", channel=general)).error == "operation_timeout"
    assert (await hasty.command("/dance", channel=general)).error == "invalid_command"
    assert [one.text for one in hasty.messages(general)] == [
        "/millz failed with the error “dispatch_failed”.",
        "/millz failed with the error “operation_timeout”.",
        "/dance is not a valid command.",
    ]
    assert all(one.ephemeral_to == hasty.person for one in hasty.messages(general))


async def link(sandbox: Sandbox) -> str:
    client = AsyncWebClient(token=sandbox.app_token, base_url=sandbox.api_url)
    return str((await client.apps_connections_open(app_token=sandbox.app_token))["url"])


async def test_an_event_without_an_acknowledgement_comes_three_times_more(hasty: Sandbox) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(hasty)) as socket:
        assert (await socket.receive_json())["num_connections"] == 1
        await hasty.say(hasty.dm, "hello")
        frames = [await socket.receive_json(timeout=2) for _ in range(4)]
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.7)

    assert [(one["retry_attempt"], one["retry_reason"]) for one in frames] == [
        (0, ""),
        (1, "timeout"),
        (2, "timeout"),
        (3, "timeout"),
    ]
    assert len({one["envelope_id"] for one in frames}) == 1
    assert len({one["payload"]["event_id"] for one in frames}) == 1


async def test_an_acknowledged_event_does_not_come_again(hasty: Sandbox) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(hasty)) as socket:
        await socket.receive_json()
        await hasty.say(hasty.dm, "hello")
        frame = await socket.receive_json()
        for noise in ("no json", "[]", '{"envelope_id": 5}'):
            await socket.send_str(noise)
        await socket.send_json({"envelope_id": frame["envelope_id"]})
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.7)


async def test_an_event_from_before_the_app_connected_comes_by_a_retry(hasty: Sandbox) -> None:
    await hasty.say(hasty.dm, "anybody?")
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(hasty)) as socket:
        await socket.receive_json()
        frame = await socket.receive_json(timeout=2)
    assert frame["retry_attempt"] >= 1
    assert frame["payload"]["event"]["text"] == "anybody?"


async def test_a_ticket_opens_one_socket(sandbox: Sandbox) -> None:
    address = await link(sandbox)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(address):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address)
    assert refused.value.status == 403


async def test_each_envelope_goes_to_one_of_the_sockets(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(await link(sandbox)) for _ in range(10)]
        assert [(await one.receive_json())["num_connections"] for one in sockets] == list(range(1, 11))
        surplus = await session.ws_connect(await link(sandbox))
        assert (await surplus.receive_json())["reason"] == "too_many_websockets"
        await sandbox.say(sandbox.dm, "hello")
        receiving = [asyncio.create_task(one.receive_json()) for one in sockets]
        done, pending = await asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for one in sockets:
            await one.close()
    assert len(done) == 1


async def test_pings_come_back_with_their_data(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(await link(sandbox), autoping=False) as socket:
        await socket.receive_json()
        await socket.ping(b"sdk-ping-pong:1.5")
        pong = await socket.receive(timeout=2)
    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1.5")


async def test_a_taken_port_is_named(sandbox: Sandbox) -> None:
    port = int(sandbox.page_url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(StartError, match=str(port)):
        async with serve(port=port):
            pass
    with pytest.raises(StartError, match="70000"):
        async with serve(port=70000):
            pass


async def test_time_stamps_rise_even_when_the_clock_stands_still() -> None:
    async with serve(clock=lambda: 1_700_000_000.0) as sandbox:
        stamps = [await sandbox.say(sandbox.channel("general"), "hello") for _ in range(3)]
    assert stamps == ["1700000000.000000", "1700000000.000001", "1700000000.000002"]


async def test_waiting_in_vain_shows_the_state_of_the_workspace(sandbox: Sandbox) -> None:
    await sandbox.say(sandbox.dm, "hello")
    with pytest.raises(TimeoutError, match="hello"):
        await sandbox.until(lambda: False, timeout_s=0.01)


async def test_a_call_takes_about_a_millisecond(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url, session=session)
        await client.auth_test()
        started = time.perf_counter()
        for _ in range(50):
            await client.auth_test()
        assert (time.perf_counter() - started) / 50 < 0.02, "generous: the machine may be busy"

"""The stories from end to end: Slack envelopes over a real WebSocket, the Web API over HTTP, SQL in a real database."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app import audit, main, settings
from app.errors import Busy, StartError
from app.main import Bot
from app.mentions import BUSY, CUT_OFF
from app.sandbox import RESET, Fault, Message, Sandbox
from app.slack.chat import STATUS
from app.tables import seen_events
from tests.conftest import BotStarter
from tests.fakes import FakeGenerator, written


def replies(sandbox: Sandbox, ts: str, channel: str = "general") -> list[Message]:
    """What the bot said in the thread of a message."""
    where = channel if channel.startswith("D") else sandbox.channel(channel)
    return [said for said in sandbox.messages(where, thread_ts=ts) if said.user == sandbox.bot]


async def answered(sandbox: Sandbox, ts: str, count: int = 1, channel: str = "general") -> list[Message]:
    return await sandbox.until(
        lambda: found if len(found := replies(sandbox, ts, channel)) >= count else [], timeout_s=30
    )


async def states(bot: Bot, wanted: Callable[[list[str]], Any]) -> list[str]:
    """The states of all asks, once they are as wanted."""
    rows = select(seen_events.c.state).where(seen_events.c.asker.is_not(None)).order_by(seen_events.c.received_at)
    for _ in range(2000):
        found = await bot.core.database.read(lambda connection: list(connection.execute(rows).scalars()))
        if wanted(found):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(found)


async def test_a_mention_gets_the_demo_models_answer_and_the_log_has_its_rows(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    async with start_bot() as bot:
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot the best thing about mondays is")
        [answer] = await answered(sandbox, ts)
        await states(bot, lambda found: found == ["answered"])
        lines = await bot.core.database.read(audit.page, person=sandbox.person)
        again = await bot.core.gate.replay(1)
        await bot.core.database.read(audit.verify)
    assert answer.text
    assert [line.event for line in lines] == ["answered", "posting", "generated", "answering", "received"]
    assert lines[-1].text == "the best thing about mondays is"
    assert again.same


async def test_a_command_gets_the_whole_post_in_the_channel(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator([" is for tea."])) as bot:
        outcome = await sandbox.command("/millz", "Monday", channel=sandbox.channel("random"))
        await states(bot, lambda found: found == ["answered"])
    assert outcome.error == ""
    said = sandbox.messages(sandbox.channel("random"))[-1]
    assert (said.text, said.ephemeral) == ("Monday is for tea.", False)


async def test_help_is_for_the_asker_alone_and_says_that_the_bot_is_one(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    async with start_bot(generator=FakeGenerator()):
        await sandbox.command("/millz", "help", channel=sandbox.channel("general"))
        said = await sandbox.until(lambda: [m for m in sandbox.messages(sandbox.channel("general")) if m.ephemeral])
    assert "I am a bot" in said[-1].text
    assert said[-1].ephemeral_to == sandbox.person


async def test_a_direct_message_is_answered_in_its_thread(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator([" Tea helps."])):
        ts = await sandbox.say(sandbox.dm, "what helps?")
        [answer] = await answered(sandbox, ts, channel=sandbox.dm)
    assert answer.text == "Tea helps."


async def test_the_thread_shows_that_the_bot_is_thinking_until_it_answers(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    writer = FakeGenerator(held=True)
    async with start_bot(generator=writer):
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot hi")
        await sandbox.until(sandbox.statuses)
        writer.gate.set()
        await answered(sandbox, ts)
        await sandbox.until(lambda: sandbox.statuses()[-1].text == "")
    assert [(one.thread_ts, one.text) for one in sandbox.statuses()] == [(ts, STATUS), (ts, "")]


async def test_an_event_that_is_delivered_twice_gets_one_reply(sandbox: Sandbox, start_bot: BotStarter) -> None:
    sandbox.faults.deliver_twice(3)
    async with start_bot(generator=FakeGenerator()) as bot:
        asked = [await sandbox.say(sandbox.channel("general"), f"@millzbot {n}") for n in range(3)]
        await states(bot, lambda found: found == ["answered"] * 3)
    assert [len(replies(sandbox, ts)) for ts in asked] == [1, 1, 1]


async def test_an_event_that_comes_again_after_a_restart_gets_one_reply(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    sandbox.faults.lose_acknowledgements(1)
    async with start_bot(generator=FakeGenerator()) as bot:
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot hi")
        await answered(sandbox, ts)
        await states(bot, lambda found: found == ["answered"])
    async with start_bot(generator=FakeGenerator()):
        await sandbox.until(lambda: sandbox.delivered == 2)
        await answered(sandbox, await sandbox.say(sandbox.channel("general"), "@millzbot once more"))
    assert len(replies(sandbox, ts)) == 1


async def test_an_envelope_is_acknowledged_only_after_its_commit(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator(held=True)) as bot:
        await sandbox.command("/millz", "tea", channel=sandbox.channel("general"))
        found = await bot.core.database.read(lambda c: c.execute(select(seen_events.c.state)).scalars().all())
    assert len(found) == 1


async def test_other_bots_and_edits_get_no_answer(sandbox: Sandbox, start_bot: BotStarter) -> None:
    general = sandbox.channel("general")
    async with start_bot(generator=FakeGenerator()) as bot:
        theirs = await sandbox.say(general, "@millzbot hi", user=sandbox.other_bot)
        edited = await sandbox.say(sandbox.dm, "tea?")
        await answered(sandbox, edited, channel=sandbox.dm)
        await sandbox.edit(sandbox.dm, edited, "cake?")
        mine = await sandbox.say(general, "@millzbot hi")
        await answered(sandbox, mine)
        await states(bot, lambda found: found == ["answered"] * 2)
    assert replies(sandbox, theirs) == []
    assert len(replies(sandbox, edited, sandbox.dm)) == 1


HOSTILE = "<!channel> <@U0YOU> @here <https://evil.example|tea> https://evil.example/x & *bold* <|endoftext|"


@pytest.mark.parametrize("surface", ["mention", "command"])
async def test_what_the_model_writes_pings_nobody_and_unfurls_nothing(
    sandbox: Sandbox, start_bot: BotStarter, surface: str
) -> None:
    general = sandbox.channel("general")
    async with start_bot(generator=FakeGenerator([HOSTILE])) as bot:
        if surface == "mention":
            await sandbox.say(general, "@millzbot")
        else:
            await sandbox.command("/millz", "", channel=general)
        await states(bot, lambda found: found == ["answered"])
    [said] = [one for one in sandbox.messages(general) if one.user == sandbox.bot]
    assert (said.pings, said.unfurl) == ((), False)
    assert "&lt;!channel&gt;" in said.text


async def test_a_busy_bot_says_for_how_long(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator([Busy(7)])):
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot hi")
        [said] = await answered(sandbox, ts)
    assert said.text == BUSY.format(seconds=7)


@pytest.mark.parametrize("method", ["chat.postMessage", "response_url"])
async def test_a_rate_limit_is_waited_out(sandbox: Sandbox, start_bot: BotStarter, method: str) -> None:
    sandbox.faults.fail(method, Fault(status=429, retry_after_s=1))
    async with start_bot(generator=FakeGenerator(["Tea."])) as bot:
        if method == "response_url":
            await sandbox.command("/millz", "", channel=sandbox.channel("general"))
        else:
            await sandbox.say(sandbox.channel("general"), "@millzbot")
        await states(bot, lambda found: found == ["answered"])
    first, second = sandbox.calls(method)
    assert (first.status, second.status) == (429, 200)
    assert second.at - first.at >= 1


@pytest.mark.parametrize("status", [500, RESET])
@pytest.mark.parametrize("after_work", [False, True])
async def test_an_answer_of_unknown_fate_is_not_sent_again_and_the_asker_is_told(
    sandbox: Sandbox, start_bot: BotStarter, status: int, after_work: bool
) -> None:
    sandbox.faults.fail("chat.postMessage", Fault(status=status, after_work=after_work))
    async with start_bot(generator=FakeGenerator(["Tea."])) as bot:
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        await states(bot, lambda found: found == ["unsure"])
        await sandbox.until(lambda: len(replies(sandbox, ts)) == 1 + after_work)
    texts = [said.text for said in replies(sandbox, ts)]
    assert texts == (["Tea."] if after_work else []) + [CUT_OFF]


async def test_a_bot_that_was_cut_off_while_posting_tells_the_asker_and_posts_nothing_more(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    async with start_bot(generator=FakeGenerator()) as bot:
        sandbox.faults.fail("chat.postMessage", Fault(slow_s=60))
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        await states(bot, lambda found: found == ["posting"])
        for task in bot.mentions.under_way:
            task.cancel()
        await states(bot, lambda found: found == ["unsure"])
        [said] = await answered(sandbox, ts)
    assert said.text == CUT_OFF


async def test_what_was_received_but_not_answered_is_taken_up_by_the_next_start(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    writer = FakeGenerator(held=True)
    async with start_bot(generator=writer) as bot:
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        await states(bot, lambda found: found == ["answering"])
        bot.mentions.under_way.clear()
    async with start_bot(generator=FakeGenerator(["Tea."])):
        [said] = await answered(sandbox, ts)
    assert said.text == "Tea."


async def test_a_socket_that_is_cut_is_replaced(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator()):
        sandbox.faults.drop_sockets()
        await sandbox.until(lambda: sandbox.connections == 0)
        await sandbox.until(lambda: sandbox.connections == 1, timeout_s=30)
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        assert len(await answered(sandbox, ts)) == 1


async def test_a_socket_that_goes_silent_is_replaced_within_thirty_seconds(
    sandbox: Sandbox, start_bot: BotStarter
) -> None:
    async with start_bot(generator=FakeGenerator()):
        sandbox.faults.freeze_sockets()
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        assert len(await answered(sandbox, ts)) == 1


async def test_slacks_own_wish_to_reconnect_loses_nothing(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator()):
        await sandbox.faults.ask_to_reconnect()
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        assert len(await answered(sandbox, ts)) == 1


@pytest.mark.parametrize(
    ("wrong", "says"), [("slack_bot_token", "SLACK_BOT_TOKEN: "), ("slack_app_token", "SLACK_APP_TOKEN: ")]
)
async def test_a_wrong_token_stops_the_start_with_a_line_that_names_it(
    sandbox: Sandbox, tmp_path: Path, wrong: str, says: str
) -> None:
    chosen = main.wire(settings.read(millzbot_data=tmp_path), sandbox)
    chosen = chosen.model_copy(update={wrong: SecretStr("xoxb-wrong")})
    with pytest.raises(StartError, match=says) as caught:
        async with main.assemble(chosen, generator=FakeGenerator()):
            pass
    assert "\n" not in str(caught.value)


async def test_many_mentions_at_once_are_all_answered(sandbox: Sandbox, start_bot: BotStarter) -> None:
    async with start_bot(generator=FakeGenerator([written("Tea.")])) as bot:
        asked = [await sandbox.say(sandbox.channel("general"), f"@millzbot {n}") for n in range(8)]
        await states(bot, lambda found: found == ["answered"] * 8)
    assert [len(replies(sandbox, ts)) for ts in asked] == [1] * 8

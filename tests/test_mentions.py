"""The first story: state by state, over a real database."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app import audit, inbox
from app.db import Database
from app.errors import Busy, GenerationError, NotPosted, Unsure
from app.mentions import BUSY, CUT_OFF, FAILED, NOTHING, PROMPT_CHARS, STOPPING, TOO_OLD, Mentions, prompt_of
from app.ports import Ask, Place
from app.tables import seen_events
from tests.fakes import FakeChat, FakeClock, FakeGenerator

MENTION = Ask("T1/Ev1", "T1/C1/1.1", "mention", "U1", Place("C1", thread_ts="1.1"), "Mondays are")
COMMAND = Ask("T1/command/7", None, "command", "U1", Place("C1", response_url="https://hooks.example/7"), "Mondays are")


async def ask(mentions: Mentions, wanted: Ask = MENTION) -> None:
    """One envelope, from its arrival to the end of the work."""
    if await mentions.receive(wanted):
        mentions.take(wanted)
    await settle(mentions)


async def settle(mentions: Mentions) -> None:
    while mentions.under_way:
        await asyncio.wait(mentions.under_way)


def state(database: Database, key: str = MENTION.key) -> str:
    wanted = select(seen_events.c.state).where(seen_events.c.key == key)
    return str(database.read_now(lambda connection: connection.execute(wanted).scalar_one()))


def events(database: Database) -> list[str]:
    return [line.event for line in reversed(database.read_now(audit.page))]


async def test_a_mention_is_answered_with_what_follows_its_words(mentions: Mentions, chat: FakeChat) -> None:
    await ask(mentions)
    assert chat.thoughts == [MENTION.place]
    assert chat.replies == [(MENTION.place, "Tea helps.")]


async def test_a_command_is_answered_with_the_whole_post(mentions: Mentions, chat: FakeChat) -> None:
    await ask(mentions, COMMAND)
    assert chat.replies == [(COMMAND.place, "Mondays are Tea helps.")]


async def test_every_step_stands_in_the_log_and_the_chain_is_whole(mentions: Mentions, database: Database) -> None:
    await ask(mentions)
    assert events(database) == ["received", "answering", "generated", "posting", "answered"]
    assert database.read_now(audit.verify) == 5


async def test_the_same_event_twice_is_answered_once(mentions: Mentions, chat: FakeChat) -> None:
    await ask(mentions)
    await ask(mentions)
    assert len(chat.replies) == 1


async def test_two_events_about_one_message_are_answered_once(mentions: Mentions, chat: FakeChat) -> None:
    await ask(mentions)
    await ask(mentions, Ask("T1/Ev2", MENTION.message, "dm", "U1", MENTION.place, "Mondays are"))
    assert len(chat.replies) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Busy(12), BUSY.format(seconds=12)),
        (GenerationError("the engine is gone"), FAILED),
        (RuntimeError("a mistake of ours"), FAILED),
    ],
)
async def test_an_asker_who_gets_no_answer_is_told_why(
    mentions: Mentions, chat: FakeChat, generator: FakeGenerator, database: Database, fault: Exception, words: str
) -> None:
    generator.texts = [fault]
    await ask(mentions)
    assert chat.notices == [(MENTION.place, words)]
    assert state(database) == "told"


async def test_a_model_without_an_idea_says_so(mentions: Mentions, chat: FakeChat, generator: FakeGenerator) -> None:
    generator.texts = [""]
    await ask(mentions)
    assert (chat.replies, chat.notices) == ([], [(MENTION.place, NOTHING)])


async def test_an_answer_of_unknown_fate_is_never_sent_again(
    mentions: Mentions, chat: FakeChat, database: Database
) -> None:
    chat.faults = [Unsure("timeout")]
    await ask(mentions)
    await mentions.take_up()
    assert (chat.replies, chat.notices) == ([], [(MENTION.place, CUT_OFF)])
    assert state(database) == "unsure"


async def test_an_answer_that_slack_refuses_ends_there(mentions: Mentions, chat: FakeChat, database: Database) -> None:
    chat.faults = [NotPosted("Slack answered 200 is_archived")]
    await ask(mentions)
    assert (chat.replies, chat.notices) == ([], [])
    assert state(database) == "rejected"
    assert "is_archived" in database.read_now(audit.page)[0].body["reason"]


async def cut_off_in(state_: str, mentions: Mentions, database: Database, wanted: Ask = MENTION) -> None:
    """Leave an ask as a process leaves it that is killed."""
    await mentions.receive(wanted)
    steps = {"received": [], "answering": ["answering"], "posting": ["answering", "posting"]}[state_]
    for step in steps:
        came_from = ("received", "answering")
        database.write_now(inbox.move, mentions.clock(), wanted, came_from=came_from, to=step)


@pytest.mark.parametrize("left", ["received", "answering"])
async def test_a_fresh_ask_is_taken_up_after_a_restart(
    mentions: Mentions, chat: FakeChat, clock: FakeClock, database: Database, left: str
) -> None:
    await cut_off_in(left, mentions, database)
    clock.pass_(timedelta(minutes=9))
    await mentions.take_up()
    await settle(mentions)
    assert len(chat.replies) == 1
    assert state(database) == "answered"


@pytest.mark.parametrize("left", ["received", "answering"])
async def test_an_old_ask_is_not_answered_but_told(
    mentions: Mentions, chat: FakeChat, clock: FakeClock, database: Database, left: str
) -> None:
    await cut_off_in(left, mentions, database)
    clock.pass_(timedelta(minutes=11))
    await mentions.take_up()
    assert (chat.replies, chat.notices) == ([], [(MENTION.place, TOO_OLD)])


async def test_a_post_under_way_is_unsure_after_a_restart_and_its_asker_is_told_once(
    mentions: Mentions, chat: FakeChat, database: Database
) -> None:
    await cut_off_in("posting", mentions, database)
    await mentions.take_up()
    await mentions.take_up()
    assert (chat.replies, chat.notices) == ([], [(MENTION.place, CUT_OFF)])
    assert state(database) == "unsure"


async def test_a_notice_that_was_cut_off_before_it_was_sent_is_sent_after_a_restart(
    mentions: Mentions, chat: FakeChat, clock: FakeClock, database: Database
) -> None:
    await cut_off_in("answering", mentions, database, COMMAND)
    database.write_now(inbox.move, clock(), COMMAND, came_from=("answering",), to="told", notice=NOTHING)
    await mentions.take_up()
    assert chat.notices == [(COMMAND.place, NOTHING)]


async def test_a_stop_tells_whoever_waits_for_the_model(
    mentions: Mentions, chat: FakeChat, generator: FakeGenerator, database: Database
) -> None:
    generator.held = True
    await mentions.receive(MENTION)
    mentions.take(MENTION)
    await asyncio.wait_for(_until(lambda: bool(generator.orders)), 5)
    await mentions.drain(0.01)
    assert chat.notices == [(MENTION.place, STOPPING)]
    assert state(database) == "told"


async def test_a_stop_waits_for_answers_that_come_to_their_end(
    mentions: Mentions, chat: FakeChat, generator: FakeGenerator
) -> None:
    generator.held = True
    await mentions.receive(MENTION)
    mentions.take(MENTION)
    await asyncio.wait_for(_until(lambda: bool(generator.orders)), 5)
    generator.gate.set()
    await mentions.drain(5)
    assert len(chat.replies) == 1


async def test_the_address_of_a_command_is_forgotten_once_it_is_settled(mentions: Mentions, database: Database) -> None:
    await ask(mentions, COMMAND)
    wanted = select(seen_events.c.response_url)
    assert database.read_now(lambda connection: connection.execute(wanted).scalar_one()) is None


@given(st.text())
def test_a_prompt_is_short_and_holds_no_marker(words: str) -> None:
    prompt = prompt_of(words)
    assert len(prompt) <= PROMPT_CHARS
    assert prompt == prompt.strip()
    assert "<|startoftext|>" not in prompt


def test_a_marker_that_another_marker_hid_is_taken_out_too() -> None:
    assert "<|endoftext|>" not in prompt_of("a <|end<|startoftext|>oftext|> b")
    assert "<|startoftext|>" not in prompt_of("<|start<|endoftext|>oftext|>")


def test_a_long_prompt_ends_at_a_word() -> None:
    assert prompt_of("seven77 " * 20) == ("seven77 " * 12).strip()
    assert prompt_of("x" * 120) == "x" * PROMPT_CHARS
    assert prompt_of("x" * 100 + " y") == "x" * 100


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)

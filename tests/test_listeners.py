"""Slack's payloads into asks: pure reading, no socket."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inbox import Other
from app.ports import Ask, Place
from app.slack.chat import escape
from app.slack.listeners import plain, read

EVENT = {"type": "app_mention", "user": "U1", "text": "<@UBOT> hi", "ts": "1.1", "channel": "C1", "team": "T1"}


def envelope(**changes: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": {**EVENT, **changes}}


def test_a_mention_asks_in_its_own_thread() -> None:
    wanted = Ask("T1/Ev1", "T1/C1/1.1", "mention", "U1", Place("C1", thread_ts="1.1"), "hi")
    assert read(envelope(), team="T1", bot="UBOT") == wanted


def test_a_mention_in_a_thread_asks_in_that_thread() -> None:
    ask = read(envelope(thread_ts="0.9"), team="T1", bot="UBOT")
    assert isinstance(ask, Ask)
    assert ask.place.thread_ts == "0.9"


def test_a_direct_message_asks() -> None:
    ask = read(envelope(type="message", channel_type="im", text="hi"), team="T1", bot="UBOT")
    assert isinstance(ask, Ask)
    assert ask.surface == "dm"


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B2"},
        {"user": "UBOT"},
        {"user": None},
        {"edited": {"user": "U1", "ts": "1.2"}},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"team": "T2"},
        {"type": "message", "channel_type": "channel"},
        {"type": "app_home_opened"},
    ],
)
def test_bots_edits_strangers_and_other_events_ask_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(read(envelope(**changes), team="T1", bot="UBOT"), Other)


def test_an_event_of_another_workspace_asks_nothing() -> None:
    assert isinstance(read(envelope() | {"team_id": "T2"}, team="T1", bot="UBOT"), Other)


COMMAND = {
    "command": "/millz",
    "team_id": "T1",
    "channel_id": "C1",
    "user_id": "U1",
    "trigger_id": "7.7",
    "response_url": "https://hooks.example/commands/7",
}


def test_a_command_asks_where_it_was_typed() -> None:
    wanted = Place("C1", response_url="https://hooks.example/commands/7")
    ask = read({**COMMAND, "text": "tea &amp; cake"}, team="T1", bot="UBOT")
    assert ask == Ask("T1/command/7.7", None, "command", "U1", wanted, "tea & cake")


def test_a_command_for_help_asks_nothing_of_the_model() -> None:
    assert read({**COMMAND, "text": " Help "}, team="T1", bot="UBOT") == Other("T1/command/7.7", "help")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@UBOT> why  not", "why  not"),
        ("why <@UBOT|millzbot> not", "why   not"),
        ("<@UBOT>", ""),
        ("ask <@U2|ann> or <@U3> in <#C2|tea>", "ask ann or  in tea"),
        ("see <https://a.example|this> or <https://b.example>", "see this or https://b.example"),
        ("<!here> <!subteam^S1|@team> tea", "@team tea"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
    ],
)
def test_words_are_read_as_their_writer_saw_them(text: str, words: str) -> None:
    assert plain(text, "UBOT") == words


@given(st.text())
def test_what_a_person_types_is_read_back_to_the_letter(text: str) -> None:
    assert plain(escape(text), "UBOT") == text.strip()


@given(st.dictionaries(st.sampled_from(["type", "trigger_id", "team", "user", "view"]), st.text() | st.none()))
def test_an_unknown_payload_is_kept_and_asks_nothing(body: dict[str, Any]) -> None:
    assert isinstance(read({**body, "type": "block_actions", "team": {"id": "T1"}}, team="T1", bot="UBOT"), Other)

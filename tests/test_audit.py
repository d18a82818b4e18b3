"""The chained log."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, text, update

from app import audit
from app.audit import ChainError, Subject
from app.db import Database
from app.tables import audit as rows
from app.tables import audit_content

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def write_three(connection: Connection) -> None:
    for number in range(3):
        kept = audit.keep(connection, AT, f"text {number}")
        audit.record(connection, AT, "said", Subject("mention", f"U{number}", content_id=kept.id), words=kept.as_body())


def test_rows_are_numbered_without_gaps_and_chained(either_database: Database) -> None:
    either_database.write_now(write_three)
    assert either_database.read_now(audit.verify) == 3


def test_a_row_that_is_rolled_back_leaves_no_gap(either_database: Database) -> None:
    def fail(connection: Connection) -> None:
        audit.record(connection, AT, "said", Subject())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        either_database.write_now(fail)
    either_database.write_now(write_three)
    assert either_database.read_now(audit.verify) == 3


@pytest.mark.parametrize(
    "change",
    [
        update(rows).where(rows.c.seq == 2).values(body=rows.c.body + " "),
        update(rows).where(rows.c.seq == 2).values(person="U9"),
        update(rows).where(rows.c.seq == 2).values(hash="0" * 64),
        delete(rows).where(rows.c.seq == 1),
        delete(rows).where(rows.c.seq == 2),
        update(audit_content).where(audit_content.c.id == 2).values(text="another"),
        text("update audit set seq = case seq when 1 then 102 else 101 end where seq < 3"),
    ],
    ids=["body", "column", "hash", "first row", "middle row", "text", "order"],
)
def test_a_change_behind_the_logs_back_is_found(either_database: Database, change: object) -> None:
    either_database.write_now(write_three)
    either_database.write_now(lambda connection: connection.execute(change))  # type: ignore[call-overload]
    with pytest.raises(ChainError):
        either_database.read_now(audit.verify)


def test_an_erased_text_leaves_the_chain_whole(either_database: Database) -> None:
    either_database.write_now(write_three)
    erase = update(audit_content).where(audit_content.c.id == 2).values(text=None, salt=None)
    either_database.write_now(lambda connection: connection.execute(erase))
    assert either_database.read_now(audit.verify) == 3


def test_the_log_can_be_asked_by_surface_person_and_text(either_database: Database) -> None:
    either_database.write_now(write_three)
    assert [line.seq for line in either_database.read_now(audit.page)] == [3, 2, 1]
    assert [line.seq for line in either_database.read_now(audit.page, person="U1")] == [2]
    assert [line.seq for line in either_database.read_now(audit.page, text="TEXT 2")] == [3]
    assert [line.seq for line in either_database.read_now(audit.page, text="%")] == []
    assert either_database.read_now(audit.page, surface="dm") == []


def test_a_float_is_refused_since_it_has_more_than_one_spelling(either_database: Database) -> None:
    with pytest.raises(ValueError, match="floats"):
        either_database.write_now(audit.record, AT, "said", Subject(), temperature={"at": [0.5]})


@given(st.text())
def test_a_body_is_ascii_json_that_says_what_was_recorded(words: str) -> None:
    body = audit.canonical({"b": words, "a": 1})
    assert body.isascii()
    assert json.loads(body) == {"a": 1, "b": words}
    assert body.startswith('{"a":1,')

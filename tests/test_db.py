"""Transactions, locks and the schema."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from app import audit
from app.audit import Subject
from app.db import Database
from app.errors import StartError
from app.tables import audit_content, metadata

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_migrations_make_the_tables_that_the_program_uses(either_database: Database) -> None:
    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    assert either_database.write_now(differences) == []


def test_a_second_migration_does_nothing(either_database: Database) -> None:
    either_database.migrate()
    assert either_database.is_current()


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
def test_sqlite_is_set_up_to_lose_nothing(database: Database, pragma: str, value: object) -> None:
    assert database.write_now(lambda connection: connection.execute(text(f"PRAGMA {pragma}")).scalar()) == value


def test_a_reader_cannot_write(either_database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        either_database.read_now(audit.keep, AT, "words")


async def test_many_writers_at_once_leave_one_gapless_chain(either_database: Database) -> None:
    await asyncio.gather(*(either_database.write(audit.record, AT, "said", Subject()) for _ in range(100)))
    assert await either_database.read(audit.verify) == 100


async def test_two_processes_databases_write_one_gapless_chain(either_database: Database) -> None:
    other = Database(either_database.address)
    try:
        both = [one.write(audit.record, AT, "said", Subject()) for _ in range(50) for one in (either_database, other)]
        await asyncio.gather(*both)
    finally:
        other.close()
    assert await either_database.read(audit.verify) == 100


async def test_a_write_that_has_begun_is_finished_though_its_caller_is_cancelled(either_database: Database) -> None:
    task = asyncio.create_task(either_database.write(audit.record, AT, "said", Subject()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await either_database.write(lambda _: None)
    assert await either_database.read(audit.verify) == 1


def test_only_one_process_serves_a_database(either_database: Database) -> None:
    either_database.serve_alone()
    other = Database(either_database.address)
    with pytest.raises(StartError, match="Another millzbot is running"):
        other.serve_alone()
    other.close()


def test_a_file_that_is_no_database_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but long enough to look like one" * 100)
    database = Database(f"sqlite:///{tmp_path / 'text.db'}")
    with pytest.raises(StartError, match="not a database"):
        database.migrate()
    database.close()


def test_moments_keep_their_instant_and_come_back_in_utc(either_database: Database) -> None:
    local = datetime(2026, 7, 1, 9, tzinfo=timezone(timedelta(hours=1)))
    either_database.write_now(audit.keep, local, "words")
    stored = either_database.read_now(lambda connection: connection.execute(select(audit_content.c.at)).scalar_one())
    assert stored == local
    assert stored.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(either_database: Database) -> None:
    naive = datetime(2026, 7, 1, 9)  # noqa: DTZ001 - the fault that is tested
    with pytest.raises(StatementError, match="needs its zone"):
        either_database.write_now(lambda connection: connection.execute(insert(audit_content).values(at=naive)))


def test_the_data_folder_is_the_owners_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'data' / 'millzbot.db'}")
    database.migrate()
    database.close()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(tmp_path / "data" / "millzbot.db")) as file:
        assert file.execute("select count(*) from audit").fetchone() == (0,)

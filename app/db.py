"""The database: who may write when, what a transaction is, and the schema's version."""

import asyncio
import fcntl
import functools
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from app.errors import StartError

Given = ParamSpec("Given")
Result = TypeVar("Result")

READERS = 4
WRITE_LOCK = 0x6D696C6C
SERVE_LOCK = 0x6D696C7A
"""PostgreSQL's advisory locks are numbers of one's own choice: 'mill' for a write, 'milz' for serving."""

ROOT = Path(__file__).resolve().parents[1]


class Database:
    """One writer and some readers, each in threads of its own, so that the event loop never waits for a disk.

    Every write is one transaction that nobody else's write can interleave with: SQLite's BEGIN IMMEDIATE, or an
    advisory lock in PostgreSQL. That is what makes numbers gapless and compare-and-set simple.
    """

    def __init__(self, address: str, *, serving: bool = False) -> None:
        self.address = address
        self._writer = _engine(address, writes=True, checkpoints=serving)
        self._reader = _engine(address, writes=False, checkpoints=False)
        self._write_thread = ThreadPoolExecutor(1, "database-write")
        self._read_threads = ThreadPoolExecutor(READERS, "database-read")
        self._serve_lock: Any = None

    async def write(
        self, step: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Run the step in one writing transaction; once it has begun, a cancelled caller does not cancel it."""
        call = functools.partial(self.write_now, step, *args, **kwargs)
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._write_thread, call))

    async def read(
        self, step: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Run the step in one transaction that cannot write."""
        call = functools.partial(self.read_now, step, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, call)

    def write_now(
        self, step: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """The same as `write`, for callers without an event loop."""
        with self._writer.begin() as connection:
            return step(connection, *args, **kwargs)

    def read_now(
        self, step: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """The same as `read`, for callers without an event loop."""
        with self._reader.begin() as connection:
            return step(connection, *args, **kwargs)

    def serve_alone(self) -> None:
        """Hold the right to be the one serving process of this database until it is closed.

        Raises StartError where another process has it.
        """
        self._serve_lock = _locked_file(self.address) if _is_sqlite(self.address) else _locked_session(self._reader)

    def migrate(self) -> None:
        """Bring the schema to this program's version. Raises StartError where the database cannot be used."""
        try:
            if not self.is_current():
                self.write_now(lambda connection: command.upgrade(_alembic(connection), "head"))
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StartError(f"DATABASE_URL: the database cannot be used: {_reason(error)}") from error

    def is_current(self) -> bool:
        """Whether the schema is this program's version."""
        head = ScriptDirectory.from_config(_alembic()).get_current_head()
        return self.write_now(lambda connection: MigrationContext.configure(connection).get_current_revision()) == head

    def close(self) -> None:
        """Wait for what has begun, then let go of every connection and lock."""
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        if self._serve_lock is not None:
            self._serve_lock.close()
        self._reader.dispose()
        self._writer.dispose()


def _is_sqlite(address: str) -> bool:
    return make_url(address).get_backend_name() == "sqlite"


def _engine(address: str, *, writes: bool, checkpoints: bool) -> Engine:
    if not _is_sqlite(address):
        return _postgresql(address, writes=writes)
    _make_folder(Path(make_url(address).database or ""))
    engine = create_engine(address, pool_size=1 if writes else READERS, max_overflow=0)
    event.listen(engine, "connect", lambda raw, _: _set_up_sqlite(raw, writes=writes, checkpoints=checkpoints))
    event.listen(engine, "begin", _begin_writing if writes else _begin_reading)
    return engine


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"DATABASE_URL: {file.parent} cannot be made: {error.strerror}.") from None


def _postgresql(address: str, *, writes: bool) -> Engine:
    engine = create_engine(address, pool_size=1 if writes else READERS + 1, max_overflow=0, pool_pre_ping=True)
    if writes:
        event.listen(engine, "begin", lambda c: c.execute(text(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")))
    else:
        event.listen(engine, "begin", lambda c: c.execute(text("SET TRANSACTION READ ONLY")))
    return engine


def _set_up_sqlite(raw: sqlite3.Connection, *, writes: bool, checkpoints: bool) -> None:
    """Per connection, since SQLite forgets all but the journal mode.

    Only the serving process's writer moves the write-ahead log into the database: two connections doing that at once
    can corrupt it in SQLite before 3.51.3 (sqlite.org/wal.html, "The WAL-reset bug").
    """
    raw.isolation_level = None  # SQLAlchemy's events begin the transactions, not Python's driver
    mode = raw.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StartError(
            f"The database's disk cannot keep a write-ahead log (journal_mode is {mode}): use a local one."
        )
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("PRAGMA busy_timeout=5000")
    raw.execute("PRAGMA trusted_schema=OFF")
    raw.execute("PRAGMA journal_size_limit=16777216")
    if not checkpoints:
        raw.execute("PRAGMA wal_autocheckpoint=0")
    if not writes:
        raw.execute("PRAGMA query_only=ON")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _locked_file(address: str) -> Any:
    lock = Path(f"{make_url(address).database}.lock").open("a")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartError(f"Another millzbot is running on {make_url(address).database}: stop it first.") from None
    os.set_inheritable(lock.fileno(), False)
    return lock


def _locked_session(engine: Engine) -> Connection:
    session = engine.connect()
    if not session.execute(text(f"SELECT pg_try_advisory_lock({SERVE_LOCK})")).scalar():
        session.close()
        raise StartError("Another millzbot is running on this database: stop it first.")
    session.rollback()
    return session


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]

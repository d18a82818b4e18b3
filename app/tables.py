"""Every row that is kept.

All text that somebody wrote or the model made stands in `audit_content` alone; the other tables refer to it, so that
it can be erased in one place.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER, which there holds 64 bits as well."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: given with its zone, kept in UTC, given back in UTC. SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC. Raises ValueError where it has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature
        """The moment in UTC, with its zone."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


audit_content = Table(
    "audit_content",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("text", Text),
    Column("salt", LargeBinary(16)),
)
"""A text and the salt of its digest in the chain; both are empty once it has been erased."""

audit = Table(
    "audit",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("event", String(40), nullable=False),
    Column("surface", String(20)),
    Column("person", String(40)),
    Column("generation_id", Number),
    Column("content_id", Number),
    Column("prev_hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Index(None, "generation_id"),
    Index(None, "content_id"),
    Index(None, "person", "seq"),
    Index(None, "surface", "seq"),
)
"""Chained by hash. From `at` to `content_id` the columns repeat what the body says, so that it can be searched."""

generations = Table(
    "generations",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("surface", String(20), nullable=False),
    Column("asker", String(40), nullable=False),
    Column("event_key", String(200)),
    Column("prompt_id", ForeignKey("audit_content.id")),
    Column("form", String(20), nullable=False),
    Column("params", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("artifact", String(64), nullable=False),
    Column("engine", String(80), nullable=False),
    Column("finish", String(20), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("verdict", String(80), nullable=False),
    Column("text_id", ForeignKey("audit_content.id"), nullable=False),
    Index(None, "at"),
    Index(None, "event_key"),
)
"""One text that the model made. `prompt_id` is what the asker wrote, `form` how it was put to the model (app/gate.py),
`text_id` the continuation as the model made it, uncut.
"""

seen_events = Table(
    "seen_events",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("message", String(200), unique=True),
    Column("kind", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("asker", String(40)),
    Column("channel", String(40)),
    Column("thread_ts", String(40)),
    Column("response_url", Text),
    Column("prompt_id", ForeignKey("audit_content.id")),
    Column("generation_id", ForeignKey("generations.id")),
    Column("reply_ts", String(40)),
    Column("notice", Text),
    Column("told_at", UtcTime),
    Index(None, "state"),
)
"""One envelope from Slack, and how far the answer to it has come (app/mentions.py draws the states)."""

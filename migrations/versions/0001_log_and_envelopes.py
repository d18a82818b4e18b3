"""The log, the texts it speaks of, and the envelopes that have been seen.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

from app.tables import Number, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_audit()
    _make_generations()
    _make_seen_events()


def downgrade() -> None:
    """Drop them, and the log with them."""
    for table in ("seen_events", "generations", "audit", "audit_content"):
        op.drop_table(table)


def _make_audit() -> None:
    op.create_table(
        "audit_content",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("salt", sa.LargeBinary(16)),
    )
    op.create_table(
        "audit",
        sa.Column("seq", Number, primary_key=True, autoincrement=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("surface", sa.String(20)),
        sa.Column("person", sa.String(40)),
        sa.Column("generation_id", Number),
        sa.Column("content_id", Number),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )
    op.create_index("ix_audit_generation_id", "audit", ["generation_id"])
    op.create_index("ix_audit_content_id", "audit", ["content_id"])
    op.create_index("ix_audit_person_seq", "audit", ["person", "seq"])
    op.create_index("ix_audit_surface_seq", "audit", ["surface", "seq"])


def _make_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("surface", sa.String(20), nullable=False),
        sa.Column("asker", sa.String(40), nullable=False),
        sa.Column("event_key", sa.String(200)),
        sa.Column("prompt_id", Number, sa.ForeignKey("audit_content.id", name="fk_generations_prompt_id")),
        sa.Column("form", sa.String(20), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("engine", sa.String(80), nullable=False),
        sa.Column("finish", sa.String(20), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(80), nullable=False),
        sa.Column("text_id", Number, sa.ForeignKey("audit_content.id", name="fk_generations_text_id"), nullable=False),
    )
    op.create_index("ix_generations_at", "generations", ["at"])
    op.create_index("ix_generations_event_key", "generations", ["event_key"])


def _make_seen_events() -> None:
    op.create_table(
        "seen_events",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("message", sa.String(200)),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("received_at", UtcTime, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.Column("asker", sa.String(40)),
        sa.Column("channel", sa.String(40)),
        sa.Column("thread_ts", sa.String(40)),
        sa.Column("response_url", sa.Text),
        sa.Column("prompt_id", Number, sa.ForeignKey("audit_content.id", name="fk_seen_events_prompt_id")),
        sa.Column("generation_id", Number, sa.ForeignKey("generations.id", name="fk_seen_events_generation_id")),
        sa.Column("reply_ts", sa.String(40)),
        sa.Column("notice", sa.Text),
        sa.Column("told_at", UtcTime),
        sa.UniqueConstraint("message", name="uq_seen_events_message"),
    )
    op.create_index("ix_seen_events_state", "seen_events", ["state"])

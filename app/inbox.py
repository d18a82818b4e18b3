"""What has come in from Slack and how far each has got: put, move, what is left over, who must still be told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, or_, select, update

from app import audit
from app.ports import Ask, Place
from app.tables import seen_events

UNDER_WAY = ("received", "answering", "posting")


@dataclass(frozen=True)
class Other:
    """An envelope that asks nothing of the model: another bot's words, an edit, a tab that was opened."""

    key: str
    kind: str


@dataclass(frozen=True)
class Left:
    """An ask whose answer is not settled."""

    ask: Ask
    state: str
    received_at: datetime


def put(connection: Connection, at: datetime, envelope: Ask | Other) -> bool:
    """Keep an envelope; False where it, or another event about the same message, has been here before."""
    same = [seen_events.c.key == envelope.key]
    if isinstance(envelope, Ask) and envelope.message:
        same.append(seen_events.c.message == envelope.message)
    if connection.execute(select(exists().where(or_(*same)))).scalar():
        return False
    row = _ask_row(connection, at, envelope) if isinstance(envelope, Ask) else _other_row(envelope)
    connection.execute(insert(seen_events).values(**row, received_at=at, changed_at=at))
    return True


def move(
    connection: Connection,
    /,
    at: datetime,
    ask: Ask,
    *,
    came_from: tuple[str, ...],
    to: str,
    reason: str | None = None,
    **changes: Any,
) -> bool:
    """Take an ask from one state to the next, with a row in the log; False where it is in none of `came_from`."""
    row = seen_events.c
    if to not in UNDER_WAY and "notice" not in changes:
        changes["response_url"] = None
    wanted = update(seen_events).where(row.key == ask.key, row.state.in_(came_from))
    if connection.execute(wanted.values(state=to, changed_at=at, **changes)).rowcount != 1:
        return False
    said = {name: changes.get(name) for name in ("reply_ts", "notice") if name in changes}
    subject = audit.Subject(ask.surface, ask.asker, changes.get("generation_id"))
    audit.record(connection, at, to, subject, key=ask.key, **said, **({"reason": reason} if reason else {}))
    return True


def unsettled(connection: Connection) -> list[Left]:
    """Asks that were under way when the last process ended, oldest first."""
    under_way = seen_events.c.state.in_(UNDER_WAY)
    rows = connection.execute(select(seen_events).where(under_way).order_by(seen_events.c.received_at))
    return [Left(_ask(connection, row), row.state, row.received_at) for row in rows]


def untold(connection: Connection) -> list[tuple[Ask, str]]:
    """Asks whose asker has still to be told something, and the words."""
    row = seen_events.c
    rows = connection.execute(select(seen_events).where(row.notice.is_not(None), row.told_at.is_(None)))
    return [(_ask(connection, row), row.notice) for row in rows]


def claim_notice(connection: Connection, at: datetime, ask: Ask) -> bool:
    """Take the right to tell the asker; False where somebody has it."""
    row = seen_events.c
    wanted = update(seen_events).where(row.key == ask.key, row.told_at.is_(None))
    return connection.execute(wanted.values(told_at=at, response_url=None)).rowcount == 1


def _ask_row(connection: Connection, at: datetime, ask: Ask) -> dict[str, Any]:
    prompt = audit.keep(connection, at, ask.prompt)
    subject = audit.Subject(surface=ask.surface, person=ask.asker, content_id=prompt.id)
    audit.record(connection, at, "received", subject, key=ask.key, channel=ask.place.channel, prompt=prompt.as_body())
    return {
        "key": ask.key,
        "message": ask.message,
        "kind": ask.surface,
        "state": "received",
        "asker": ask.asker,
        "channel": ask.place.channel,
        "thread_ts": ask.place.thread_ts,
        "response_url": ask.place.response_url,
        "prompt_id": prompt.id,
    }


def _other_row(other: Other) -> dict[str, Any]:
    return {"key": other.key, "kind": other.kind[:40], "state": "seen"}


def _ask(connection: Connection, row: Row[Any]) -> Ask:
    prompt = audit.read_text(connection, row.prompt_id) or ""
    place = Place(row.channel, row.thread_ts, row.response_url)
    return Ask(row.key, row.message, row.kind, row.asker, place, prompt)

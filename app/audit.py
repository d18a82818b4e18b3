"""The log of all that happened: appended in the transaction of what it records, and chained by hash.

hash = SHA-256(DOMAIN, seq as 8 bytes, hash before it, SHA-256 of the body's stored bytes). The body is JSON with sorted
ASCII keys and no floats. Texts are not in it: it holds their HMAC under a salt that is stored beside the text, so that
a text can be erased, salt and all, without breaking the chain and without leaving a digest to guess against.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, insert, select

from app.errors import MillzbotError
from app.tables import audit, audit_content

DOMAIN = b"millzbot audit 1\0"
GENESIS = "0" * 64
COLUMNS = ("event", "surface", "person", "generation_id", "content_id")


class ChainError(MillzbotError):
    """The log is not what was written: its message says where."""


@dataclass(frozen=True)
class Kept:
    """A text in `audit_content`, and what the chain says of it."""

    id: int
    hmac_sha256: str

    def as_body(self) -> dict[str, Any]:
        """How the text stands in the body of a row."""
        return {"content": self.id, "hmac_sha256": self.hmac_sha256}


@dataclass(frozen=True)
class Subject:
    """What a row of the log is about, as far as one can ask for it."""

    surface: str | None = None
    person: str | None = None
    generation_id: int | None = None
    content_id: int | None = None


@dataclass(frozen=True)
class Line:
    """One row as a person reads it."""

    seq: int
    at: datetime
    event: str
    subject: Subject
    body: Mapping[str, Any]
    text: str | None


def keep(connection: Connection, at: datetime, text: str) -> Kept:
    """Store a text where alone texts are stored."""
    salt = os.urandom(16)
    stored = connection.execute(insert(audit_content).values(at=at, text=text, salt=salt))
    return Kept(_only_key(stored), _text_digest(salt, text))


def read_text(connection: Connection, content_id: int | None) -> str | None:
    """A stored text, or None where there is none or it has been erased."""
    if content_id is None:
        return None
    text: str | None = connection.execute(
        select(audit_content.c.text).where(audit_content.c.id == content_id)
    ).scalar_one()
    return text


def record(connection: Connection, at: datetime, event: str, subject: Subject, /, **details: Any) -> int:
    """Append a row, in the caller's writing transaction; its number.

    Raises ValueError where a detail is a float: JSON has more than one way to write those.
    """
    last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).one_or_none()
    seq, before = (last.seq + 1, last.hash) if last else (1, GENESIS)
    body = canonical({**details, "at": at.isoformat(), **_columns(event, subject)})
    digest = hashlib.sha256(body.encode()).hexdigest()
    connection.execute(
        insert(audit).values(
            seq=seq,
            at=at,
            **_columns(event, subject),
            prev_hash=before,
            body=body,
            body_sha256=digest,
            hash=_link(seq, before, digest),
        )
    )
    return seq


def page(
    connection: Connection,
    *,
    surface: str | None = None,
    person: str | None = None,
    text: str | None = None,
    limit: int = 50,
) -> list[Line]:
    """The newest rows first, of one surface, of one person, with a piece of text in them."""
    wanted = select(audit, audit_content.c.text).outerjoin(audit_content, audit.c.content_id == audit_content.c.id)
    if surface:
        wanted = wanted.where(audit.c.surface == surface)
    if person:
        wanted = wanted.where(audit.c.person == person)
    if text:
        wanted = wanted.where(audit_content.c.text.icontains(text, autoescape=True))
    return [_line(row) for row in connection.execute(wanted.order_by(audit.c.seq.desc()).limit(limit))]


def verify(connection: Connection) -> int:
    """Walk the whole chain; the number of its rows. Raises ChainError at the first row that is not as written."""
    before, expected = GENESIS, 1
    with _walk(connection) as rows:
        for row in rows:
            _check(row, expected, before)
            before, expected = row.hash, expected + 1
    return expected - 1


def canonical(body: Mapping[str, Any]) -> str:
    """The one spelling of a body: JSON with sorted keys, ASCII, no spaces. Raises ValueError at a float."""
    _refuse_floats(body)
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _walk(connection: Connection) -> CursorResult[Any]:
    ordered = select(audit, audit_content.c.text, audit_content.c.salt).order_by(audit.c.seq)
    joined = ordered.outerjoin(audit_content, audit.c.content_id == audit_content.c.id)
    return connection.execute(joined, execution_options={"yield_per": 1000})


def _check(row: Row[Any], seq: int, before: str) -> None:
    digest = hashlib.sha256(row.body.encode()).hexdigest()
    if row.seq != seq:
        raise ChainError(f"Row {seq} of the log is missing.")
    if row.prev_hash != before or row.body_sha256 != digest or row.hash != _link(seq, before, digest):
        raise ChainError(f"Row {seq} of the log is not as it was written.")
    body = json.loads(row.body)
    if any(body[name] != getattr(row, name) for name in COLUMNS) or body["at"] != row.at.isoformat():
        raise ChainError(f"Row {seq} of the log: its columns say something else than its body.")
    if row.text is not None and _text_digest(row.salt, row.text) != _digest_in(body, row.content_id):
        raise ChainError(f"Row {seq} of the log: text {row.content_id} has been changed.")


def _digest_in(body: Mapping[str, Any], content_id: int) -> str | None:
    texts = (value for value in body.values() if isinstance(value, dict) and "content" in value)
    return next((value["hmac_sha256"] for value in texts if value["content"] == content_id), None)


def _columns(event: str, subject: Subject) -> dict[str, Any]:
    return {
        "event": event,
        "surface": subject.surface,
        "person": subject.person,
        "generation_id": subject.generation_id,
        "content_id": subject.content_id,
    }


def _line(row: Row[Any]) -> Line:
    subject = Subject(row.surface, row.person, row.generation_id, row.content_id)
    return Line(row.seq, row.at, row.event, subject, json.loads(row.body), row.text)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError("the log takes no floats: write the number as a string")  # noqa: TRY004 - of a value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        _refuse_floats(inner)


def _link(seq: int, before: str, body_digest: str) -> str:
    return hashlib.sha256(
        DOMAIN + seq.to_bytes(8, "big") + bytes.fromhex(before) + bytes.fromhex(body_digest)
    ).hexdigest()


def _text_digest(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()


def _only_key(result: Any) -> int:
    return int(result.inserted_primary_key[0])

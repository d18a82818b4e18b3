"""Fakes for the ports: they do what they are told and remember what they were asked."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.moderation import Clean
from app.ports import Order, Place, Voice, Written

VOICE = Voice(artifact="a" * 64, engine="fake", persona="Nobody", consent="invented")


def written(text: str, finish: str = "stop") -> Written:
    return Written(text, prompt_tokens=3, tokens=max(1, len(text.split())), finish=finish, milliseconds=1)  # type: ignore[arg-type]


@dataclass
class FakeGenerator:
    """Writes the texts of its queue in turn, then always the last; waits while `held`."""

    texts: list[str | Written | Exception] = field(default_factory=lambda: [" Tea helps."])
    voice: Voice = VOICE
    orders: list[Order] = field(default_factory=list)
    askers: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    held: bool = False

    async def write(self, order: Order, asker: str = "") -> Written:
        self.orders.append(order)
        self.askers.append(asker)
        if self.held:
            await self.gate.wait()
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if isinstance(text, Exception):
            raise text
        return written(text) if isinstance(text, str) else text


@dataclass
class FakeChat:
    """Remembers what was said; fails as its queue of faults says."""

    faults: list[Exception | None] = field(default_factory=list)
    thoughts: list[Place] = field(default_factory=list)
    replies: list[tuple[Place, str]] = field(default_factory=list)
    notices: list[tuple[Place, str]] = field(default_factory=list)

    async def thinking(self, place: Place) -> None:
        self.thoughts.append(place)

    async def reply(self, place: Place, text: Clean) -> str | None:
        self._fail_if_told()
        self.replies.append((place, text.text))
        return f"{len(self.replies)}.000"

    async def notice(self, place: Place, words: str) -> None:
        self._fail_if_told()
        self.notices.append((place, words))

    def _fail_if_told(self) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault


@dataclass
class FakeClock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, time: timedelta) -> None:
        self.now += time


@dataclass
class FakeSeconds:
    """The sandbox's clock, in seconds since 1970; it stands until it is moved."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def counting_seeds(first: int = 1) -> Callable[[], int]:
    numbers: Iterator[int] = itertools.count(first)
    return lambda: next(numbers)

"""What the stories need from outside, and the words in which they ask for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from app.moderation import Clean

Clock = Callable[[], datetime]
"""The time now, with its zone."""

Seeds = Callable[[], int]
"""A fresh seed for one request, 0 to 2**63 - 1."""

Surface = Literal["mention", "dm", "command", "cli"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; temperature 0 takes the likeliest, top_k 0 does not cut."""

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 0.7
    max_tokens: int = 100


@dataclass(frozen=True)
class Order:
    """One text to be written: it continues `prompt`, which holds the start marker, and ends before any of `stop`."""

    prompt: str
    seed: int
    sampling: Sampling
    stop: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What the model made of an order: the continuation alone."""

    text: str
    prompt_tokens: int
    tokens: int
    finish: Literal["stop", "length"]
    milliseconds: int


@dataclass(frozen=True)
class Voice:
    """What writes: enough, with an order, to have the same text again."""

    artifact: str
    engine: str
    persona: str
    consent: str


class Generator(Protocol):
    """Whoever writes."""

    @property
    def voice(self) -> Voice:
        """Whose voice this is, and which artifact and engine speak it."""

    async def write(self, order: Order, asker: str = "") -> Written:
        """The continuation of an order; askers have equal shares. Raises Busy, and GenerationError."""


@dataclass(frozen=True)
class Place:
    """Where an answer goes: a thread of a channel, or the address that came with a command."""

    channel: str
    thread_ts: str | None = None
    response_url: str | None = None


@dataclass(frozen=True)
class Ask:
    """One question to the bot. `key` is the same for every delivery of it, `message` for every event about it."""

    key: str
    message: str | None
    surface: Surface
    asker: str
    place: Place
    prompt: str


class Chat(Protocol):
    """Where people talk with the bot.

    Both ways of saying something raise NotPosted and Unsure, and neither tries a second time by itself.
    """

    async def thinking(self, place: Place) -> None:
        """Show that an answer is being made; a failure is of no account."""

    async def reply(self, place: Place, text: Clean) -> str | None:
        """Say what the model wrote; the timestamp of the message where there is one."""

    async def notice(self, place: Place, words: str) -> None:
        """Say fixed words of ours."""

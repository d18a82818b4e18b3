"""Generate, judge, record: the one way by which a text of the model reaches anybody."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row, insert, select

from app import audit, moderation
from app.db import Database
from app.errors import GenerationError
from app.moderation import Clean, Refused
from app.ports import Clock, Generator, Order, Sampling, Seeds, Surface, Voice, Written
from app.tables import generations

START = "<|startoftext|>"
END = "<|endoftext|>"
MARKERS = (START, END)

Form = Literal["prompt", "line break", "unprompted", "raw"]
"""How a prompt is put to the model: as the beginning of a post, as a post's first line, not at all, or without a post's
start marker and end."""

PROMPTED: tuple[Form, ...] = ("prompt", "line break", "unprompted")
UNPROMPTED: tuple[Form, ...] = ("unprompted",)

SENTENCE_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s|$)")
"""Full stop, question or exclamation mark or ellipsis, with the quotes and brackets that it closes."""


@dataclass(frozen=True)
class Wish:
    """A text that somebody wants: from whom, where, and the key of the envelope that brought it."""

    prompt: str
    surface: Surface
    asker: str
    key: str | None = None


@dataclass(frozen=True)
class Answer:
    """A text that may be shown: the whole post, and what of it follows the prompt."""

    generation_id: int
    whole: Clean
    reply: Clean
    tried: "Tried"


@dataclass(frozen=True)
class Tried:
    """One text that the model made for a wish, and what is thought of it."""

    wish: Wish
    form: Form
    order: Order
    written: Written
    verdict: Clean | Refused


@dataclass(frozen=True)
class Replay:
    """A text as it stands in the log, and as the model makes it now."""

    stored: str | None
    again: str

    @property
    def same(self) -> bool:
        """Whether they are the same to the letter."""
        return self.stored == self.again


@dataclass(frozen=True)
class Gate:
    """What it takes to write, judge and record."""

    database: Database
    generator: Generator
    clock: Clock
    seeds: Seeds
    reply_chars: int

    async def answer(self, wish: Wish, sampling: Sampling | None = None, seed: int | None = None) -> Answer | None:
        """The first text that may be shown, each form tried in turn; None where there is none.

        Every try is recorded. Raises Busy, and GenerationError.
        """
        for form in PROMPTED if wish.prompt else UNPROMPTED:
            order = self._order(form, wish.prompt, sampling, seed)
            written = await self.generator.write(order, wish.asker)
            verdict = self._judge(_shown_start(form, wish.prompt), written)
            tried = Tried(wish, form, order, written, verdict)
            number = await self.database.write(store, self.clock(), tried, self.generator.voice)
            if isinstance(verdict, Clean):
                return Answer(number, verdict, verdict.after(_shown_start(form, wish.prompt)), tried)
        return None

    async def raw(self, wish: Wish, sampling: Sampling | None = None, seed: int | None = None) -> Tried:
        """What the model makes of a prompt as it stands: recorded, but not judged, and so only for whoever runs it.

        Raises Busy, and GenerationError.
        """
        order = self._order("raw", wish.prompt, sampling, seed)
        tried = Tried(wish, "raw", order, await self.generator.write(order), Refused("not judged"))
        await self.database.write(store, self.clock(), tried, self.generator.voice)
        return tried

    async def replay(self, generation_id: int) -> Replay:
        """A recorded text made again. Raises GenerationError where its row is not enough for that, or not there."""
        order, stored, artifact = await self.database.read(_recorded, generation_id)
        if artifact != self.generator.voice.artifact:
            raise GenerationError(
                f"Generation {generation_id} was made by artifact {artifact[:12]}, and this is "
                f"{self.generator.voice.artifact[:12]}: set MODEL_PATH to the former."
            )
        return Replay(stored, (await self.generator.write(order)).text)

    def _order(self, form: Form, prompt: str, sampling: Sampling | None, seed: int | None) -> Order:
        chosen = self.seeds() if seed is None else seed
        return Order(opening(form, prompt), chosen, sampling or Sampling(), stops(form))

    def _judge(self, start: str, written: Written) -> Clean | Refused:
        if not written.text.strip():
            return Refused("empty")
        whole = cut(start + written.text, over=written.finish == "stop", limit=self.reply_chars)
        if len(whole) <= len(start):
            return Refused("unfinished")
        verdict = moderation.judge(whole)
        if isinstance(verdict, Clean) and not verdict.after(start).text:
            return Refused("empty")
        return verdict


def opening(form: Form, prompt: str) -> str:
    """What the model is given: the start marker, and the prompt as the beginning of a post."""
    return prompt if form == "raw" else START + _shown_start(form, prompt)


def stops(form: Form) -> tuple[str, ...]:
    """What ends a text: either marker, since a model that begins a second post has finished the first."""
    return () if form == "raw" else MARKERS


def cut(text: str, *, over: bool, limit: int) -> str:
    """The text as far as it may be shown: whole, or up to the last end of a sentence within `limit` characters.

    `over` says that the model came to an end by itself. Nothing is left where no sentence fits.
    """
    if over and len(text.rstrip()) <= limit:
        return text.rstrip()
    ends = [match.end() for match in SENTENCE_END.finditer(text) if match.end() <= limit]
    return text[: ends[-1]] if ends else ""


def store(connection: Connection, at: datetime, tried: Tried, voice: Voice) -> int:
    """Keep a text with all that is needed to make it again, and its row in the log; its number."""
    prompt = audit.keep(connection, at, tried.wish.prompt) if tried.wish.prompt else None
    text = audit.keep(connection, at, tried.written.text)
    row = _row(tried, voice) | {"at": at, "prompt_id": prompt.id if prompt else None, "text_id": text.id}
    number = int(connection.execute(insert(generations).values(row)).inserted_primary_key[0])  # type: ignore[index]
    audit.record(
        connection,
        at,
        "generated",
        audit.Subject(tried.wish.surface, tried.wish.asker, number, text.id),
        text=text.as_body(),
        prompt=prompt.as_body() if prompt else None,
        **_row(tried, voice),
    )
    return number


def _shown_start(form: Form, prompt: str) -> str:
    return {"prompt": prompt, "line break": f"{prompt}\n"}.get(form, "")


def _row(tried: Tried, voice: Voice) -> dict[str, Any]:
    """All of a generation but its texts; fractions as text, since the log takes no floats."""
    order, written = tried.order, tried.written
    return {
        "surface": tried.wish.surface,
        "asker": tried.wish.asker,
        "event_key": tried.wish.key,
        "form": tried.form,
        "params": {
            "temperature": repr(order.sampling.temperature),
            "top_k": order.sampling.top_k,
            "top_p": repr(order.sampling.top_p),
            "max_tokens": order.sampling.max_tokens,
        },
        "seed": order.seed,
        "artifact": voice.artifact,
        "engine": voice.engine,
        "finish": written.finish,
        "prompt_tokens": written.prompt_tokens,
        "tokens": written.tokens,
        "milliseconds": written.milliseconds,
        "verdict": "clean" if isinstance(tried.verdict, Clean) else f"refused: {tried.verdict.rule}",
    }


def _recorded(connection: Connection, generation_id: int) -> tuple[Order, str | None, str]:
    row = connection.execute(select(generations).where(generations.c.id == generation_id)).one_or_none()
    if row is None:
        raise GenerationError(f"There is no generation {generation_id}: `millzbot audit show` lists them.")
    prompt = audit.read_text(connection, row.prompt_id)
    if row.prompt_id is not None and prompt is None:
        raise GenerationError(f"The prompt of generation {generation_id} has been erased: it cannot be made again.")
    form = cast("Form", row.form)
    order = Order(opening(form, prompt or ""), row.seed, _sampling(row), stops(form))
    return order, audit.read_text(connection, row.text_id), row.artifact


def _sampling(row: Row[Any]) -> Sampling:
    params = row.params
    return Sampling(float(params["temperature"]), params["top_k"], float(params["top_p"]), params["max_tokens"])

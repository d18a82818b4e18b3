"""STORY 1: somebody asks, and the bot answers.

    received -> answering -> posting -> answered
        |           |           |-----> unsure      nobody can know whether the answer stands: never sent again
        |           |           '-----> rejected    Slack refused the message for good
        '-----------'-----------------> told        no answer comes, and the asker is told why

`received` is committed before Slack's envelope is acknowledged, `posting` before the call to Slack. `unsure` and `told`
come with words for the asker, which are sent at most once, too.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app import inbox, logs
from app.db import Database
from app.errors import Busy, GenerationError, MillzbotError, NotPosted, Unsure
from app.gate import MARKERS, Answer, Gate, Wish
from app.inbox import Left, Other
from app.ports import Ask, Chat, Clock

BUSY = "Too many people are asking me things just now. Try again in about {seconds:.0f} s."
NOTHING = "I could not come up with anything. Ask me something else?"
FAILED = "I could not answer: something on my side is broken, and it is in the log. Try again later."
CUT_OFF = "I was cut off while answering. If you see no answer, ask me again."
TOO_OLD = "I was away when you asked, and that is a while ago. Ask me again."
STOPPING = "I am being restarted and could not finish. Ask me again in a moment."

HELP = """I am a bot. I write posts in the voice of {persona}; no person writes or sends them.
• `/millz`: I write a post
• `/millz the best thing about mondays is`: I write a post that begins so
• mention me in a channel, or write to me: what you say is the beginning, and I go on in the thread
What you ask me and what I answer is kept in a log that my curators read."""

FRESH = timedelta(minutes=10)
"""Asks younger than this are still answered after a restart."""

PROMPT_CHARS = 100
TELLING_S = 2.0

log = logs.get(__name__)


@dataclass(frozen=True)
class Mentions:
    """What it takes to answer, and the answers under way."""

    database: Database
    gate: Gate
    chat: Chat
    clock: Clock
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def receive(self, envelope: Ask | Other) -> bool:
        """Commit an envelope; False where it has been here before, and is to be left alone."""
        return await self.database.write(inbox.put, self.clock(), envelope)

    def take(self, ask: Ask, *, came_from: tuple[str, ...] = ("received",)) -> None:
        """Begin to answer, beside the others."""
        task = asyncio.create_task(self._answer(ask, came_from))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def take_up(self) -> None:
        """After a start: answer what is fresh, and tell the askers of the rest."""
        for left in await self.database.read(inbox.unsettled):
            await self._take_up(left)
        for ask, words in await self.database.read(inbox.untold):
            await self._deliver(ask, words)

    async def drain(self, seconds: float) -> None:
        """Before a stop: let answers under way come to their end, and tell the askers of those that do not."""
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=seconds)
        for task in self.under_way:
            task.cancel()
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=TELLING_S)

    async def _take_up(self, left: Left) -> None:
        if left.state == "posting":
            await self._tell(left.ask, CUT_OFF, to="unsure")
        elif self.clock() - left.received_at < FRESH:
            self.take(left.ask, came_from=("received", "answering"))
        else:
            await self._tell(left.ask, TOO_OLD)

    async def _answer(self, ask: Ask, came_from: tuple[str, ...]) -> None:
        if not await self._move(ask, came_from, "answering"):
            return
        try:
            await self._generate_and_post(ask)
        except asyncio.CancelledError:
            await self._tell(ask, STOPPING)
        except Exception:
            log.exception("answering failed", key=ask.key)
            await self._tell(ask, FAILED)

    async def _generate_and_post(self, ask: Ask) -> None:
        thinking = asyncio.create_task(self.chat.thinking(ask.place))
        try:
            answer = await self.gate.answer(Wish(prompt_of(ask.prompt), ask.surface, ask.asker, ask.key))
        except Busy as busy:
            return await self._tell(ask, BUSY.format(seconds=busy.wait_seconds))
        except GenerationError as error:
            log.error("the model did not write", key=ask.key, reason=str(error))  # noqa: TRY400 - our own error
            return await self._tell(ask, FAILED)
        finally:
            await thinking
        return await (self._post(ask, answer) if answer else self._tell(ask, NOTHING))

    async def _post(self, ask: Ask, answer: Answer) -> None:
        text = answer.whole if ask.surface == "command" else answer.reply
        await self._move(ask, ("answering",), "posting", generation_id=answer.generation_id)
        try:
            ts = await self.chat.reply(ask.place, text)
        except NotPosted as refusal:
            log.error("Slack refused the answer", key=ask.key, reason=str(refusal))  # noqa: TRY400 - our own error
            await self._move(ask, ("posting",), "rejected", reason=str(refusal))
        except (Unsure, asyncio.CancelledError):
            await self._tell(ask, CUT_OFF, to="unsure")
        else:
            await self._move(ask, ("posting",), "answered", reply_ts=ts)

    async def _tell(self, ask: Ask, words: str, to: str = "told") -> None:
        came_from = ("posting",) if to == "unsure" else ("received", "answering")
        if await self._move(ask, came_from, to, notice=words):
            await self._deliver(ask, words)

    async def _deliver(self, ask: Ask, words: str) -> None:
        if await self.database.write(inbox.claim_notice, self.clock(), ask):
            try:
                await self.chat.notice(ask.place, words)
            except MillzbotError as error:
                log.warning("the asker could not be told", key=ask.key, reason=str(error))

    async def _move(self, ask: Ask, came_from: tuple[str, ...], to: str, **changes: Any) -> bool:
        return await self.database.write(inbox.move, self.clock(), ask, came_from=came_from, to=to, **changes)


def prompt_of(words: str) -> str:
    """What the model is given of an asker's words: no markers, one line's spaces, at most 100 characters, whole words.

    A single word longer than that is cut all the same.
    """
    for marker in MARKERS:
        words = words.replace(marker, " ")
    words = re.sub(r"[^\S\n]+", " ", words).strip()
    if len(words) <= PROMPT_CHARS:
        return words
    kept = words[: PROMPT_CHARS + 1]
    return (kept.rsplit(None, 1)[0] if re.search(r"\s", kept) else kept[:PROMPT_CHARS]).strip()

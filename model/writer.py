"""The writer: the texts that are being written, the slot that each has, and the steps that take them on together.

It knows neither threads nor time. A prompt goes in in pieces at fixed places, on its own, so that what it computes does
not depend on what else runs; the other texts are taken on by a token after each piece. Texts in work stand in the first
slots without a gap, and the one whose prompt is going in has the slot after them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.batch import Batch, Choices, Prefix, bytes_needed
from model.sampling import Sampling, sample, sample_top
from model.session import Session
from model.text import GrowingText
from model.tokenizer import Tokenizer

PIECE: Final = 32  # tokens of a prompt that go in between two steps of the others
CAPACITY_STEP: Final = 64  # tokens
KEPT_PREFIXES: Final = 8
KEPT_WHEN_IDLE: Final = 1 << 26  # bytes of cache


@dataclass(eq=False)
class Text:
    """A text in work: its prompt's ids, how it is sampled, and what has been written of it."""

    ids: Sequence[int]
    max_tokens: int
    sampling: Sampling
    growing: GrowingText
    length: int = 0  # tokens in its slot
    written: list[int] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.growing.stopped or len(self.written) >= self.max_tokens

    @property
    def room(self) -> int:
        """The most tokens that its slot will hold."""
        return len(self.ids) + self.max_tokens


@dataclass(frozen=True)
class _Known:
    """A prompt that has been read lately: its keys and values, and the logits of what follows."""

    prefix: Prefix
    logits: NDArray[np.float32]  # (n_vocab,)


class Writer:
    """Texts of one session, at most `most` at once, in at most `cache_bytes` unless one alone needs more."""

    def __init__(
        self, session: Session, tokenizer: Tokenizer, *, most: int, cache_bytes: int, repeatable: bool = True
    ) -> None:
        """Begin with no text. `repeatable` pads the batch to an even number of rows (model/batch.py says why)."""
        self.texts: Final[list[Text]] = []
        self.entering: Text | None = None
        self._session: Final = session
        self._tokenizer: Final = tokenizer
        self._most: Final = most
        self._cache_bytes: Final = cache_bytes
        self._repeatable: Final = repeatable
        self._batch = Batch(session, slots=2, capacity=CAPACITY_STEP)
        self._known: Final[OrderedDict[tuple[int, ...], _Known]] = OrderedDict()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.texts and self.entering is None

    def can_enter(self, room: int) -> bool:
        """Whether there is place now for a text of so many tokens."""
        if self.entering is not None or len(self.texts) >= self._most:
            return False
        slots, capacity = self._size_with(room)
        return self.is_idle or bytes_needed(self._session, slots=slots, capacity=capacity) <= self._cache_bytes

    def enter(self, text: Text) -> None:
        """Take a text in; `can_enter` has said that it may."""
        slots, capacity = self._size_with(text.room)
        if (slots, capacity) != (self._batch.slots, self._batch.capacity):
            lengths = [other.length for other in self.texts]
            self._batch = self._batch.resized(lengths, slots=slots, capacity=capacity)
        self.entering = text
        known = self._known.get(tuple(text.ids))
        if known:
            self._known.move_to_end(tuple(text.ids))
            self._batch.load(len(self.texts), known.prefix)
            self._begin(known)

    def step(self) -> list[Text]:
        """Put in a piece of the entering prompt, and add a token to every text in work: those that got one."""
        working = list(self.texts)
        if self.entering is not None:
            self._prefill(self.entering)
        if working:
            self._decode(working)
        return [text for text in self.texts if text.written]

    def leave(self, text: Text) -> None:
        """Free the slot of a text, over or not."""
        end = len(self.texts)
        if text is self.entering:
            self.entering = None
            return
        slot, last = self.texts.index(text), self.texts.pop()
        if last is not text:
            self.texts[slot] = last
            self._batch.move(end - 1, slot, last.length)
        if self.entering is not None:
            self._batch.move(end, end - 1, self.entering.length)

    def rest(self) -> None:
        """Give back memory that only a crowd needs; for when there is nothing to do."""
        size = bytes_needed(self._session, slots=self._batch.slots, capacity=self._batch.capacity)
        if size > KEPT_WHEN_IDLE:
            self._batch = Batch(self._session, slots=2, capacity=CAPACITY_STEP)

    def _size_with(self, room: int) -> tuple[int, int]:
        """Slots, an even number of them, and capacity of a batch that has place for one more text."""
        slots, capacity = self._batch.slots, self._batch.capacity
        while slots < len(self.texts) + 1:
            slots = min(2 * slots, self._most + self._most % 2)
        longest = max([room, *(text.room for text in self.texts)])
        if longest > capacity:
            capacity = -(-longest // CAPACITY_STEP) * CAPACITY_STEP
        return slots, capacity

    def _prefill(self, text: Text) -> None:
        slot, piece = len(self.texts), text.ids[text.length : text.length + PIECE]
        choices = self._batch.prefill(slot, piece, text.length)
        text.length += len(piece)
        if text.length == len(text.ids):
            known = _Known(self._batch.save(slot, text.length), choices.logits[0].copy())
            self._known[tuple(text.ids)] = known
            if len(self._known) > KEPT_PREFIXES:
                self._known.popitem(last=False)
            self._begin(known)

    def _begin(self, known: _Known) -> None:
        """Let the text whose prompt is in join the others, with its first token.

        That one is always chosen among all logits: a prompt that was known before has them for any temperature.
        """
        text, self.entering = self.entering, None
        if text is not None:
            text.length = known.prefix.tokens
            self.texts.append(text)
            self._add(text, sample(known.logits, text.sampling, text.length, text.ids))

    def _decode(self, texts: list[Text]) -> None:
        tokens = [text.written[-1] for text in texts]
        lengths = [text.length for text in texts]
        inverse = [text.sampling.inverse_temperature for text in texts]
        if self._repeatable and len(texts) % 2:
            # What the dummy writes at the end of a slot is written over by what comes there.
            tokens, inverse = [*tokens, 0], [*inverse, 1.0]
            lengths = [*lengths, self._length_after(len(texts))]
        choices = self._batch.decode(tokens, lengths, inverse)
        for row, text in enumerate(texts):
            text.length += 1
            self._add(text, self._choose(choices, row, text))

    def _length_after(self, slot: int) -> int:
        """How many tokens that count stand in the slot that a dummy row takes."""
        behind = [*self.texts, *([self.entering] if self.entering else [])][slot:]
        return behind[0].length if behind else 0

    def _choose(self, choices: Choices, row: int, text: Text) -> int:
        token = sample_top(
            choices.top_logits[row],
            choices.top_ids[row],
            float(choices.log_sum_exp[row, 0]),
            text.sampling,
            text.length,
        )
        if token is None:
            token = sample(choices.logits[row], text.sampling, text.length, [*text.ids, *text.written])
        return token

    def _add(self, text: Text, token: int) -> None:
        text.written.append(token)
        text.growing.add(self._tokenizer.token_bytes(token))

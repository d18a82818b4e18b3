"""The batch: texts that are written together, each with a slot of its own in every layer's KV cache.

The runtime's 8-bit kernel takes rows two at a time, and an odd last one goes another way with other rounding. With an
even number of rows a row's logits are the same to the bit whatever stands beside it, so that a batch is padded to even
where its texts are to be repeatable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.graph import top
from model.session import Session

Cache = NDArray[np.float32]  # (slots, n_head, capacity, head size)


@dataclass(frozen=True)
class Choices:
    """What follows each of some rows; the next call on the batch overwrites it."""

    logits: NDArray[np.float32]  # (rows, n_vocab)
    top_logits: NDArray[np.float32]  # (rows, TOP), the highest first
    top_ids: NDArray[np.int64]  # (rows, TOP)
    log_sum_exp: NDArray[np.float32]  # (rows, 1), of logits / temperature


@dataclass(frozen=True)
class Prefix:
    """The keys and values of a text's first tokens, apart from any slot."""

    caches: tuple[NDArray[np.float32], ...]  # each (n_head, tokens, head size)

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return int(self.caches[0].shape[1])


class Batch:
    """Some slots, each with room for `capacity` tokens. The first rows of it are written, one token a step."""

    def __init__(self, session: Session, *, slots: int, capacity: int) -> None:
        """Reserve the memory: `bytes_needed` says how much."""
        hparams = session.hparams
        self.slots: Final = slots
        self.capacity: Final = capacity
        self._session: Final = session
        shape = (slots, hparams.n_head, capacity, hparams.n_embd // hparams.n_head)
        names = [f"{kind}_{layer}" for layer in range(hparams.n_layer) for kind in ("key", "value")]
        self._caches: Final[dict[str, Cache]] = {name: np.zeros(shape, np.float32) for name in names}
        self._decodes: Final[dict[int, _Step]] = {}
        self._prefills: Final[dict[tuple[int, int], _Step]] = {}

    def prefill(self, slot: int, ids: Sequence[int], start: int) -> Choices:
        """Put tokens into a slot that holds `start` of them; what follows the last one, at a temperature of 1."""
        step = self._prefills.get((slot, len(ids)))
        if step is None:
            step = _Step(self._session, self._slice(slot, slot + 1), tokens=len(ids))
            self._prefills[slot, len(ids)] = step
        return step.run([ids], [start], [1.0])

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], inverse_temperatures: Sequence[float]) -> Choices:
        """Add one token to each of the first rows, which hold `lengths` tokens; what follows each."""
        rows = len(tokens)
        if rows not in self._decodes:
            self._decodes[rows] = _Step(self._session, self._slice(0, rows), tokens=1)
        return self._decodes[rows].run([[token] for token in tokens], lengths, inverse_temperatures)

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy a slot's tokens to another one."""
        for cache in self._caches.values():
            cache[target, :, :tokens] = cache[source, :, :tokens]

    def save(self, slot: int, tokens: int) -> Prefix:
        """A slot's first tokens, to be loaded later."""
        return Prefix(tuple(cache[slot, :, :tokens].copy() for cache in self._caches.values()))

    def load(self, slot: int, prefix: Prefix) -> None:
        """Begin a slot with what was saved."""
        for cache, saved in zip(self._caches.values(), prefix.caches, strict=True):
            cache[slot, :, : prefix.tokens] = saved

    def resized(self, lengths: Sequence[int], *, slots: int, capacity: int) -> "Batch":
        """A batch of another size that holds the same tokens in its first slots."""
        other = Batch(self._session, slots=slots, capacity=capacity)
        for name, cache in self._caches.items():
            for slot, tokens in enumerate(lengths):
                other._caches[name][slot, :, :tokens] = cache[slot, :, :tokens]
        return other

    def _slice(self, first: int, end: int) -> dict[str, Cache]:
        return {name: cache[first:end] for name, cache in self._caches.items()}


def bytes_needed(session: Session, *, slots: int, capacity: int) -> int:
    """The memory of a batch's caches."""
    return 2 * 4 * slots * capacity * session.hparams.n_layer * session.hparams.n_embd


class _Step:
    """One shape of the graph's input over some slots: all of its memory, bound once."""

    def __init__(self, session: Session, caches: dict[str, Cache], *, tokens: int) -> None:
        hparams, rows = session.hparams, len(next(iter(caches.values())))
        self._session: Final = session
        self._binding: Final = session.graph.io_binding()
        self._bound: Final[list[Any]] = []  # a binding does not keep its memory alive
        self._hidden: Final = np.empty((rows, tokens, hparams.n_embd), np.float32)
        self._seqlens_k: Final = np.zeros(rows, np.int32)
        self._total_length: Final = np.zeros((), np.int32)
        self._inverse_temperature: Final = np.ones((rows, 1), np.float32)
        self._choices: Final = Choices(
            np.empty((rows, hparams.n_vocab), np.float32),
            np.empty((rows, top(hparams)), np.float32),
            np.empty((rows, top(hparams)), np.int64),
            np.empty((rows, 1), np.float32),
        )
        self._bind(caches, np.array([(row, tokens - 1) for row in range(rows)], np.int64))

    def run(
        self, ids: Sequence[Sequence[int]], lengths: Sequence[int], inverse_temperatures: Sequence[float]
    ) -> Choices:
        """Add each row's tokens to the `lengths` that its slot holds."""
        added = self._hidden.shape[1]
        for row, start in enumerate(lengths):
            self._session.embeddings.look_up(ids[row], start, out=self._hidden[row])
            self._seqlens_k[row] = start + added - 1
        self._total_length[...] = max(lengths) + added
        self._inverse_temperature[:, 0] = inverse_temperatures
        self._session.graph.run_with_iobinding(self._binding)
        return self._choices

    def _bind(self, caches: dict[str, Cache], positions: NDArray[np.int64]) -> None:
        inputs = {
            "hidden": self._hidden,
            "seqlens_k": self._seqlens_k,
            "total_length": self._total_length,
            "positions": positions,
            "inverse_temperature": self._inverse_temperature,
            **caches,
        }
        # A cache is input and output at once, so that a step adds to it and copies nothing.
        outputs = {**vars(self._choices), **{f"{name}_out": cache for name, cache in caches.items()}}
        for bind, arrays in (
            (self._binding.bind_ortvalue_input, inputs),
            (self._binding.bind_ortvalue_output, outputs),
        ):
            for name, array in arrays.items():
                self._bound.append(onnxruntime.OrtValue.ortvalue_from_numpy(array))
                bind(name, self._bound[-1])

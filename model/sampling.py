"""Sampling: the next token from its logits by temperature, top-k and top-p, with one random stream for each request."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]  # (n_vocab,)
Ids = NDArray[np.int64]  # (count,)

SORTED_FIRST: Final = 256  # tokens


@dataclass(frozen=True)
class Sampling:
    """How to choose. Temperature 0 takes the likeliest token; top_k 0 and top_p 1 leave all of them in.

    A `repetition_penalty` above 1 makes tokens less likely that stand in the text; those in `banned` are out.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int
    repetition_penalty: float = 1.0
    banned: frozenset[int] = frozenset()

    @property
    def changes_logits(self) -> bool:
        """Whether a row's logits are not sampled as the model gives them."""
        return self.repetition_penalty != 1 or bool(self.banned)

    @property
    def inverse_temperature(self) -> float:
        """What the graph takes; the temperature of 0 has no use for it."""
        return 1 / self.temperature if self.temperature else 1.0


def sample(logits: Logits, sampling: Sampling, position: int, written: Sequence[int] = ()) -> int:
    """Choose the token at `position` of its row from all logits; `written` is what stands in the row."""
    if sampling.changes_logits:
        logits = changed(logits, sampling, written)
    if sampling.temperature == 0:
        return int(logits.argmax())
    return pick(logits, sampling, uniform(sampling.seed, position))


def sample_top(top_logits: Logits, top_ids: Ids, log_sum_exp: float, sampling: Sampling, position: int) -> int | None:
    """Choose from the highest logits alone, as from all of them; None where they do not decide it.

    They stand in order, the highest first and equal ones by id. `log_sum_exp` is that of all the row's logits over the
    temperature: by it each token's probability among all is known.
    """
    if sampling.changes_logits:
        return None
    if sampling.temperature == 0:
        return int(top_ids[0])
    index = pick_top(top_logits, log_sum_exp, sampling, uniform(sampling.seed, position))
    return None if index is None else int(top_ids[index])


def pick_top(top_logits: Logits, log_sum_exp: float, sampling: Sampling, point: float) -> int | None:
    """Choose one of the highest logits, as `pick` does of all; None where `point` in [0, 1) may lie beyond them."""
    if sampling.top_k > top_logits.size:
        return None
    scaled = top_logits[: sampling.top_k or None].astype(np.float64) * sampling.inverse_temperature
    cumulative = np.exp(scaled - log_sum_exp).cumsum()
    mass = float(cumulative[-1]) if sampling.top_k else 1.0
    return _index(cumulative, mass, sampling.top_p, point)


def changed(logits: Logits, sampling: Sampling, written: Sequence[int]) -> Logits:
    """A row's logits with the penalty on what is written (CTRL, arXiv 1909.05858, section 4.1), and without the banned."""
    logits = logits.copy()
    seen = np.unique(np.fromiter(written, np.intp))
    penalty = np.float32(sampling.repetition_penalty)
    logits[seen] = np.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    logits[list(sampling.banned)] = -np.inf
    return logits


def uniform(seed: int, position: int) -> float:
    """Give the random number in [0, 1) of a seed (0 to 2**64 - 1) and a position: 53 bits of their BLAKE2b."""
    key = seed.to_bytes(8, "little") + position.to_bytes(8, "little")
    return (int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 11) * 2.0**-53


def pick(logits: Logits, sampling: Sampling, point: float) -> int:
    """Choose by inverting the cumulative distribution at `point` in [0, 1).

    The tokens stand in order of their logits, the highest first, equal ones by id. Of them the first `top_k` are
    kept, and of these the fewest whose probabilities, in float64, reach `top_p` together. Few tokens have most of the
    mass, so that sorting these is enough; where it is not, more are sorted.
    """
    if 0 < sampling.top_k < logits.size:
        kept = _best(logits, sampling.top_k)
        return int(kept[pick(logits[kept], replace(sampling, top_k=0), point)])
    weights = _weights(logits, sampling.temperature)
    mass, count = float(weights.sum()), min(SORTED_FIRST, logits.size)
    while True:
        best = _best(logits, count)
        cumulative = weights[best].cumsum()
        whole = mass if count < logits.size else float(cumulative[-1])
        index = _index(cumulative, whole, sampling.top_p, point)
        if index is not None:
            return int(best[index])
        count = min(16 * count, logits.size)


def _best(logits: Logits, count: int) -> NDArray[np.intp]:
    """Give the ids of the `count` highest logits, the highest first and equal ones by id."""
    least = np.partition(logits, -count)[-count]
    ids = np.flatnonzero(logits >= least)
    return ids[np.argsort(-logits[ids], kind="stable")][:count]


def _weights(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Give what the probabilities are proportional to; the highest logit has 1."""
    with np.errstate(over="ignore", under="ignore"):  # at a temperature near 0
        return np.asarray(np.exp((logits.astype(np.float64) - float(logits.max())) / temperature))


def _index(cumulative: NDArray[np.float64], mass: float, top_p: float, point: float) -> int | None:
    """Give the place that `point` falls on, or None where it lies beyond the tokens that `cumulative` has."""
    if top_p < 1:
        kept = int(np.searchsorted(cumulative, top_p * mass)) + 1
        if kept > cumulative.size:
            return None
        cumulative, mass = cumulative[:kept], float(cumulative[kept - 1])
    if mass > cumulative[-1] and point * mass >= cumulative[-1]:
        return None
    return min(int(np.searchsorted(cumulative, point * mass, side="right")), cumulative.size - 1)

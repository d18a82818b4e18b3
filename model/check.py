"""What an artifact does on the machine at hand: whether its texts are repeatable, and what its rounding costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.batch import Batch
from model.session import Row, Session

BATCHES: Final = (2, 4, 6, 8, 16)
STEPS: Final = 16
WINDOW: Final = 256  # tokens that are read together

LogProbabilities = NDArray[np.float64]  # (tokens, n_vocab)


class CheckError(Exception):
    """There is nothing to check; the text says what is missing."""


@dataclass(frozen=True)
class Cost:
    """How far an artifact is from another one of the same model, on a text."""

    tokens: int
    loss: float  # nats a token
    other_loss: float
    same_token: float  # the share of places where the likeliest token is the same
    divergence: float  # the mean Kullback-Leibler divergence from the other, in nats


def uneven_batches(artifact: Artifact, *, threads: int) -> list[int]:
    """The sizes of batch in which a row's logits are not those of the smallest, to the bit; none where all is well.

    The engine's texts depend on nothing but their request as long as there is none: it always runs an even number of
    rows. Which kernel the runtime takes depends on the processor, so that another machine may answer otherwise.
    """
    session = Session(artifact, threads=threads)
    expected = _watched_row(session, BATCHES[0])
    return [rows for rows in BATCHES if _watched_row(session, rows) != expected]


def cost(artifact: Artifact, other: Artifact, text: str, *, threads: int) -> Cost:
    """Read a text with two artifacts of one vocabulary. Raises CheckError where the text has fewer than two tokens."""
    ids = artifact.tokenizer().encode(text)
    if len(ids) < 2:
        raise CheckError("The text is too short: a few pages of what the voice writes tell more.")
    if artifact.tokenizer().encode(text) != other.tokenizer().encode(text):
        raise CheckError("The two artifacts have different vocabularies: they are not the same model.")
    ours, theirs = Session(artifact, threads=threads), Session(other, threads=threads)
    window = min(WINDOW, artifact.manifest.hparams.n_ctx)
    parts = [_compare(ours, theirs, ids[start : start + window]) for start in range(0, len(ids) - 1, window - 1)]
    tokens = [part.tokens for part in parts]

    def mean(name: str) -> float:
        return float(np.average([getattr(part, name) for part in parts], weights=tokens))

    return Cost(sum(tokens), mean("loss"), mean("other_loss"), mean("same_token"), mean("divergence"))


def _watched_row(session: Session, rows: int) -> list[bytes]:
    """The logits of a row, step by step, among others that are at other places."""
    most = session.hparams.n_vocab
    batch = Batch(session, slots=rows, capacity=64)
    batch.prefill(0, [token % most for token in range(5)], 0)
    found = []
    for step in range(STEPS):
        tokens = [7 * step % most, *(11 * row % most for row in range(1, rows))]
        choices = batch.decode(tokens, [5 + step, *(step for _ in range(1, rows))], [1.0] * rows)
        found.append(choices.logits[0].tobytes())
    return found


def _compare(ours: Session, theirs: Session, ids: Sequence[int]) -> Cost:
    q, p = _log_probabilities(ours, ids), _log_probabilities(theirs, ids)
    places = np.arange(len(ids) - 1)
    return Cost(
        tokens=len(ids) - 1,
        loss=float(-q[places, ids[1:]].mean()),
        other_loss=float(-p[places, ids[1:]].mean()),
        same_token=float((q.argmax(axis=1) == p.argmax(axis=1)).mean()),
        divergence=float((np.exp(p) * (p - q)).sum(axis=1).mean()),
    )


def _log_probabilities(session: Session, ids: Sequence[int]) -> LogProbabilities:
    """What each token but the last says of the one that follows."""
    logits = Row(session, len(ids)).forward(ids, wanted=len(ids))[:-1].astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

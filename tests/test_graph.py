"""The graph, held against gpt_2_simple on a run that gpt-2-simple trained."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model import artifact
from model.checkpoint import CheckpointError, HParams
from model.graph import Bits, Rounded, block_size, quantise
from model.session import Row, Session
from tests.checkpoints import TINY, TrainedRun, tiny_checkpoint, trained_run, write_hugging_face

Logits = NDArray[np.floating[Any]]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest) -> TrainedRun:
    return trained_run(request.config.cache.mkdir("trained"))


@pytest.fixture(scope="session")
def exact(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return session(trained.folder, tmp_path_factory.mktemp("exact") / "artifact", bits=32)


@pytest.fixture(scope="session")
def rounded(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return session(trained.folder, tmp_path_factory.mktemp("rounded") / "artifact", bits=8)


def session(source: Path, out: Path, *, bits: Bits, threads: int = 2) -> Session:
    made = artifact.build(source, out, bits=bits, persona="Nobody", voice="unknown", made_at=NOON)
    return Session(made, threads=threads)


def whole(model: Session, ids: Sequence[int]) -> Logits:
    return Row(model, len(ids)).forward(ids, wanted=len(ids))


def in_pieces(model: Session, ids: Sequence[int], size: int) -> Logits:
    row = Row(model, len(ids))
    pieces = [ids[start : start + size] for start in range(0, len(ids), size)]
    return np.concatenate([row.forward(piece, wanted=len(piece)).copy() for piece in pieces])


def log_probabilities(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def same_greedy_token(ours: Logits, theirs: Logits) -> float:
    return float((ours.argmax(axis=-1) == theirs.argmax(axis=-1)).mean())


def divergence(theirs: Logits, ours: Logits) -> float:
    """The mean Kullback-Leibler divergence of our distributions from theirs, in nats."""
    p, q = log_probabilities(theirs), log_probabilities(ours)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def test_the_yardstick_has_learnt_something(trained: TrainedRun) -> None:
    nats = -np.take_along_axis(log_probabilities(trained.whole)[:, :-1], trained.ids[:, 1:, None], axis=2).mean()
    assert nats < 0.7 * np.log(TINY.n_vocab)  # what an even guess costs
    assert trained.ids.size > 4000


def test_float32_logits_of_whole_prompts_are_gpt_2_simples(trained: TrainedRun, exact: Session) -> None:
    for ids, logits in zip(trained.ids, trained.whole, strict=True):
        assert np.abs(whole(exact, ids) - logits).max() < 1e-3


def test_float32_logits_with_the_cache_are_gpt_2_simples(trained: TrainedRun, exact: Session) -> None:
    stepwise = in_pieces(exact, trained.ids[0][: len(trained.stepwise)], 1)
    assert np.abs(stepwise - trained.stepwise).max() < 1e-3
    assert np.abs(in_pieces(exact, trained.ids[1], 1) - trained.whole[1]).max() < 1e-3


@pytest.mark.parametrize("size", [1, 7, 64, 1024])
def test_8_bits_choose_and_weigh_as_gpt_2_simple(trained: TrainedRun, rounded: Session, size: int) -> None:
    ours = np.stack([in_pieces(rounded, ids, size) for ids in trained.ids])
    assert same_greedy_token(ours, trained.whole) >= 0.97
    assert divergence(trained.whole, ours) < 0.01


def test_4_bits_lose_more_and_still_know_the_text(trained: TrainedRun, tmp_path: Path) -> None:
    coarse = session(trained.folder, tmp_path / "artifact", bits=4)
    ours = np.stack([whole(coarse, ids) for ids in trained.ids])
    assert same_greedy_token(ours, trained.whole) >= 0.85
    assert 1e-4 < divergence(trained.whole, ours) < 0.2


def test_the_logits_asked_for_are_those_of_the_last_tokens(trained: TrainedRun, exact: Session) -> None:
    ids = trained.ids[0][:50]
    for wanted in (0, 1, 3, 50):
        logits = Row(exact, 50).forward(ids, wanted)
        assert np.abs(logits - whole(exact, ids)[50 - wanted :]).max(initial=0) < 1e-4


def test_the_number_of_threads_changes_no_bit(trained: TrainedRun, tmp_path: Path) -> None:
    one, two = (session(trained.folder, tmp_path / str(n), bits=8, threads=n) for n in (1, 2))
    for size in (1, 64):
        assert np.array_equal(in_pieces(one, trained.ids[0], size), in_pieces(two, trained.ids[0], size))


@pytest.mark.parametrize(
    "hparams",
    [
        HParams(n_vocab=300, n_ctx=16, n_embd=32, n_head=4, n_layer=1),
        HParams(n_vocab=301, n_ctx=32, n_embd=96, n_head=3, n_layer=3),
        HParams(n_vocab=300, n_ctx=16, n_embd=256, n_head=4, n_layer=2),
    ],
    ids=lambda hparams: f"width {hparams.n_embd}",
)
def test_every_size_of_block_says_what_float32_says(hparams: HParams, tmp_path: Path) -> None:
    source = write_hugging_face(tmp_path / "source", tiny_checkpoint(hparams, scale=0.08))
    sessions = [session(source, tmp_path / str(bits), bits=bits) for bits in (8, 32)]
    ids = np.random.default_rng(1).integers(0, hparams.n_vocab, hparams.n_ctx).tolist()
    ours, exact = (whole(one, ids) for one in sessions)
    assert divergence(exact, ours) < 0.01


@given(seed=st.integers(0, 2**32), spread=st.sampled_from([0.0, 1e-6, 1.0, 1e6]), width=st.sampled_from([32, 64, 192]))
@settings(deadline=None)
@pytest.mark.parametrize(("bits", "middle"), [(8, 128), (4, 8)])
def test_a_rounded_weight_is_off_by_half_a_step_at_most(
    bits: Rounded, middle: int, seed: int, spread: float, width: int
) -> None:
    matrix = np.random.default_rng(seed).standard_normal((5, width), np.float32) * np.float32(spread)
    blocks, scales = quantise(matrix, bits)
    assert blocks.shape == (5, width // block_size(width), block_size(width))
    again = (blocks.astype(np.float64) - middle) * scales[..., None]
    assert (np.abs(again - matrix.reshape(blocks.shape)) <= scales[..., None] * 0.5001).all()


@pytest.mark.parametrize(
    ("hparams", "bits", "fault"),
    [
        (HParams(n_vocab=300, n_ctx=16, n_embd=24, n_head=2, n_layer=1), 32, "head of 12 numbers"),
        (HParams(n_vocab=300, n_ctx=16, n_embd=40, n_head=5, n_layer=1), 8, "width of 40.*in 32 bits only"),
    ],
)
def test_a_shape_that_the_runtime_cannot_serve_is_refused(
    hparams: HParams, bits: Bits, fault: str, tmp_path: Path
) -> None:
    source = write_hugging_face(tmp_path / "source", tiny_checkpoint(hparams))
    with pytest.raises(CheckpointError, match=fault):
        session(source, tmp_path / "out", bits=bits)

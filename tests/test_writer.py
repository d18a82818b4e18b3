"""The writer, step by step: who enters when, what a step does, what a prompt costs that was read before."""

from datetime import UTC, datetime

import numpy as np
import pytest

from model import artifact
from model.artifact import Artifact
from model.batch import Batch, bytes_needed
from model.checkpoint import HParams
from model.sampling import Sampling
from model.session import Session
from model.text import GrowingText
from model.writer import PIECE, Text, Writer
from tests.checkpoints import tiny_checkpoint, write_hugging_face

HPARAMS = HParams(n_vocab=400, n_ctx=512, n_embd=64, n_head=2, n_layer=2)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("served")
    source = write_hugging_face(folder / "source", tiny_checkpoint(HPARAMS, scale=0.3))
    made_at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return artifact.build(source, folder / "artifact", persona="Nobody", voice="invented", made_at=made_at)


@pytest.fixture
def session(served: Artifact) -> Session:
    return Session(served, threads=1)


def writer(served: Artifact, session: Session, *, most: int = 16, cache_bytes: int = 1 << 30) -> Writer:
    return Writer(session, served.tokenizer(), most=most, cache_bytes=cache_bytes)


def text(ids: list[int], *, seed: int = 1, max_tokens: int = 20) -> Text:
    return Text(ids, max_tokens, Sampling(0.9, 0, 0.9, seed), GrowingText(()))


def test_a_long_prompt_goes_in_in_pieces_between_the_steps_of_the_others(served: Artifact, session: Session) -> None:
    working = writer(served, session)
    first, long = text([1, 2, 3], max_tokens=100), text([5] * (3 * PIECE + 1))
    working.enter(first)
    working.step()
    working.enter(long)
    for done in range(1, 4):
        working.step()
        assert (long.length, len(first.written)) == (done * PIECE, done + 1)
    assert working.entering is long
    working.step()
    assert working.texts == [first, long]
    assert len(long.written) == 1


def test_a_prompt_that_was_read_before_is_not_read_again(served: Artifact, session: Session) -> None:
    working = writer(served, session)
    first, second = text([1] * 100), text([1] * 100)
    working.enter(first)
    while not first.written:
        working.step()
    working.enter(second)
    assert second.written == first.written
    for _ in range(10):
        working.step()
    assert second.written == first.written


def test_candidates_of_one_prompt_differ_by_their_seeds(served: Artifact, session: Session) -> None:
    working = writer(served, session)
    candidates = [text([7, 8, 9], seed=seed) for seed in range(8)]
    for candidate in candidates:
        assert working.can_enter(candidate.room)
        working.enter(candidate)
        working.step()
    for _ in range(15):
        working.step()
    assert len({tuple(candidate.written) for candidate in candidates}) == 8


def test_texts_that_leave_in_any_order_do_not_change_the_others(served: Artifact, session: Session) -> None:
    alone = []
    for seed in range(6):
        only, one = writer(served, session), text([seed, 2, 3], seed=seed, max_tokens=30)
        only.enter(one)
        while not one.is_over:
            only.step()
        alone.append(one.written)
    working = writer(served, session)
    crowd = [text([seed, 2, 3], seed=seed, max_tokens=30) for seed in range(6)]
    for one in crowd:
        working.enter(one)
        working.step()
    for gone in (2, 0, 5):
        working.leave(crowd[gone])
        working.step()
        working.step()
    while any(not one.is_over for one in working.texts):
        working.step()
        for over in [one for one in working.texts if one.is_over]:
            working.leave(over)
    for seed in (1, 3, 4):
        assert crowd[seed].written == alone[seed]


def test_a_text_may_leave_while_another_ones_prompt_goes_in(served: Artifact, session: Session) -> None:
    def run(working: Writer, long: Text, *, leaving: Text | None) -> list[int]:
        working.enter(long)
        working.step()
        if leaving:
            working.leave(leaving)
        while not long.is_over:
            working.step()
        return long.written

    long_ids = list(range(100, 100 + 2 * PIECE + 5))
    alone = run(writer(served, session), text(long_ids), leaving=None)
    working = writer(served, session)
    others = [text([1, 2], seed=seed, max_tokens=300) for seed in range(3)]
    for other in others:
        working.enter(other)
        working.step()
    assert run(working, text(long_ids), leaving=others[0]) == alone


def test_no_more_enter_than_there_is_memory_for(served: Artifact, session: Session) -> None:
    two = bytes_needed(session, slots=2, capacity=128)
    working = writer(served, session, cache_bytes=two)
    for _ in range(2):
        assert working.can_enter(100)
        working.enter(text([1, 2, 3], max_tokens=97))
        working.step()
    assert not working.can_enter(100)
    working.leave(working.texts[0])
    assert working.can_enter(100)
    assert not working.can_enter(200)


@pytest.mark.parametrize("rows", [2, 4, 6, 8, 16])
def test_a_rows_logits_are_the_same_to_the_bit_in_every_even_batch(session: Session, rows: int) -> None:
    def logits(rows: int) -> list[bytes]:
        batch = Batch(session, slots=rows, capacity=64)
        batch.prefill(0, [1, 2, 3, 4, 5], 0)
        found = []
        for step, token in enumerate([9, 8, 7, 6]):
            choices = batch.decode([token] + [3] * (rows - 1), [5 + step] + [step] * (rows - 1), [1] * rows)
            found.append(choices.logits[0].tobytes())
        return found

    assert logits(rows) == logits(2)


def test_the_graph_gives_the_highest_logits_and_the_sum_by_which_they_are_weighed(session: Session) -> None:
    batch = Batch(session, slots=2, capacity=64)
    choices = batch.decode([1, 2], [0, 0], [2.0, 0.5])
    for row, inverse in enumerate([2.0, 0.5]):
        logits = choices.logits[row].astype(np.float64)
        order = np.argsort(-logits, kind="stable")[: choices.top_ids.shape[1]]
        assert choices.top_ids[row].tolist() == order.tolist()
        assert choices.top_logits[row].tolist() == logits[order].tolist()
        exact = np.log(np.exp(logits * inverse).sum())
        assert abs(choices.log_sum_exp[row, 0] - exact) < 1e-5

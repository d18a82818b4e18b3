"""Sampling, held against its definition: a softmax in float64 over the whole row, sorted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.sampling import Sampling, changed, pick, pick_top, sample, uniform


def row(seed: int, size: int, spread: float) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(size, np.float32) * np.float32(spread)


rows = st.builds(
    row,
    seed=st.integers(0, 2**32),
    size=st.integers(1, 700) | st.sampled_from([5000, 20_000]),
    spread=st.sampled_from([0.01, 1.0, 4.0, 50.0]),
)
# Few different values, so that many tokens are equally likely.
level_rows = st.lists(st.integers(-2, 2), min_size=1, max_size=300).map(lambda row: np.array(row, np.float32))
points = st.floats(0, 1, exclude_max=True)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0.05, 5),
    top_k=st.sampled_from([0, 1, 2, 40, 300, 10**6]),
    top_p=st.floats(0.01, 1) | st.just(1.0),
    seed=st.integers(0, 2**64 - 1),
)


def kept_tokens(logits: NDArray[np.float32], sampling: Sampling) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The tokens that may be chosen, the likeliest first and equal ones by id, and their probabilities."""
    order = np.argsort(-logits, kind="stable")[: sampling.top_k or None]
    scaled = logits[order].astype(np.float64) / sampling.temperature
    chances = np.exp(scaled - scaled.max())
    chances /= math.fsum(chances)
    before = np.concatenate([[0.0], np.cumsum(chances)[:-1]])
    kept = (before < sampling.top_p) | (sampling.top_p == 1)
    return order[kept], chances[kept] / math.fsum(chances[kept])


@settings(deadline=None)
@given(logits=rows | level_rows, sampling=samplings, point=points)
def test_the_choice_is_that_of_the_whole_sorted_row(
    logits: NDArray[np.float32], sampling: Sampling, point: float
) -> None:
    tokens, chances = kept_tokens(logits, sampling)
    edges = np.cumsum(chances)
    chosen = tokens[min(int(np.searchsorted(edges, point, side="right")), tokens.size - 1)]
    # At an edge, to the last digits, the order of the additions decides; the same at the end of the top p.
    near_an_edge = np.abs(edges - point).min() < 1e-9
    at_the_end = (
        kept_tokens(logits, wider(sampling, -1e-9))[0].size != kept_tokens(logits, wider(sampling, 1e-9))[0].size
    )
    if not near_an_edge and not at_the_end:
        assert pick(logits, sampling, point) == chosen


def wider(sampling: Sampling, by: float) -> Sampling:
    return replace(sampling, top_p=sampling.top_p + by if sampling.top_p < 1 else 1)


@settings(deadline=None)
@given(logits=rows | level_rows, sampling=samplings, position=st.integers(0, 1023))
def test_no_token_outside_of_top_k_and_top_p_is_chosen(
    logits: NDArray[np.float32], sampling: Sampling, position: int
) -> None:
    tokens, _ = kept_tokens(logits, wider(sampling, 1e-9))
    assert sample(logits, sampling, position) in tokens


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.8), (6, 0.8)])
def test_many_choices_are_spread_as_their_probabilities(top_k: int, top_p: float) -> None:
    logits = np.random.default_rng(5).normal(0, 1.5, 12).astype(np.float32)
    sampling = Sampling(temperature=0.9, top_k=top_k, top_p=top_p, seed=7)
    tokens, chances = kept_tokens(logits, sampling)
    draws = 10_000
    counts = np.bincount([sample(logits, sampling, position) for position in range(draws)], minlength=logits.size)
    expected = np.zeros(logits.size)
    expected[tokens] = chances
    assert np.abs(counts / draws - expected).max() < 4 * math.sqrt(0.25 / draws)


@settings(deadline=None)
@given(logits=rows | level_rows)
def test_temperature_0_takes_the_likeliest_token_and_of_equal_ones_the_first(logits: NDArray[np.float32]) -> None:
    greedy = Sampling(temperature=0, top_k=0, top_p=1, seed=1)
    assert sample(logits, greedy, 0) == np.flatnonzero(logits == logits.max())[0]


@settings(deadline=None)
@given(logits=rows | level_rows, position=st.integers(0, 1023))
def test_near_0_temperature_and_top_k_1_take_the_likeliest_too(logits: NDArray[np.float32], position: int) -> None:
    first = np.flatnonzero(logits == logits.max())[0]
    assert sample(logits, Sampling(temperature=2, top_k=1, top_p=1, seed=1), position) == first
    assert logits[sample(logits, Sampling(temperature=1e-300, top_k=0, top_p=1, seed=1), position)] == logits.max()


def test_equal_tokens_are_kept_by_id() -> None:
    level = np.zeros(1000, np.float32)
    chosen = {sample(level, Sampling(1, top_k=3, top_p=1, seed=2), position) for position in range(200)}
    assert chosen == {0, 1, 2}


def test_a_random_number_depends_on_its_seed_and_position_only() -> None:
    numbers = {uniform(seed, position) for seed in (0, 1, 2**64 - 1) for position in range(1000)}
    assert len(numbers) == 3000
    assert all(0 <= number < 1 for number in numbers)
    assert abs(np.mean(list(numbers)) - 0.5) < 0.02
    # Logged texts are made again from their seeds: these numbers must stay what they are.
    assert [uniform(1, 0), uniform(1, 1)] == [0.6487508310490744, 0.20798701980113665]


TOP = 128
POINTS = np.linspace(0, 1, 400, endpoint=False)


@settings(deadline=None, max_examples=60)
@given(logits=rows, sampling=samplings)
def test_the_highest_logits_alone_decide_as_all_of_them_do(logits: NDArray[np.float32], sampling: Sampling) -> None:
    order = np.argsort(-logits, kind="stable")[:TOP]
    scaled = logits.astype(np.float64) / sampling.temperature
    log_sum_exp = float(np.float32(scaled.max() + np.log(np.exp(scaled - scaled.max()).sum())))
    decided = [pick_top(logits[order], log_sum_exp, sampling, point) for point in POINTS]
    pairs = [
        (int(order[at]), pick(logits, sampling, p)) for at, p in zip(decided, POINTS, strict=True) if at is not None
    ]
    # The sum is float32, as the runtime gives it: a point within its rounding of an edge may fall on the other side.
    assert sum(ours != theirs for ours, theirs in pairs) <= 2


def test_the_highest_logits_say_so_where_they_do_not_decide() -> None:
    flat = np.zeros(1000, np.float32)
    everything = Sampling(1.0, top_k=0, top_p=1.0, seed=1)
    assert pick_top(flat[:TOP], math.log(1000), everything, 0.05) is not None
    assert pick_top(flat[:TOP], math.log(1000), everything, 0.5) is None
    assert pick_top(flat[:TOP], math.log(1000), replace(everything, top_p=0.5), 0.05) is None
    assert pick_top(flat[:TOP], math.log(1000), replace(everything, top_k=TOP + 1), 0.05) is None


def test_a_penalty_lowers_what_is_written_and_a_ban_takes_out() -> None:
    logits = np.array([2, -2, 1, 3], np.float32)
    sampling = Sampling(1.0, top_k=0, top_p=1.0, seed=1, repetition_penalty=2.0, banned=frozenset({3}))
    assert changed(logits, sampling, [0, 1, 1]).tolist() == [1, -4, 1, -math.inf]
    assert logits.tolist() == [2, -2, 1, 3]
    assert sample(logits, replace(sampling, temperature=0), 0, [0]) in (0, 2)

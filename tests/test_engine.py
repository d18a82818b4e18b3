"""The engine: what it writes, who gets how much of it, and what it does when something goes wrong."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import artifact
from model.artifact import Artifact
from model.batch import Batch
from model.checkpoint import HParams
from model.engine import Engine, Limits
from model.requests import (
    BadRequest,
    Completion,
    DeadlineExceeded,
    EngineClosed,
    EngineFailed,
    PromptTooLong,
    QueueFull,
    Request,
)
from model.sampling import Sampling, sample
from model.session import Session
from tests.checkpoints import tiny_checkpoint, write_hugging_face

CONTEXT = 256
HPARAMS = HParams(n_vocab=400, n_ctx=CONTEXT, n_embd=64, n_head=2, n_layer=2)
ASKED = Request(
    prompt="<|startoftext|>what should i",
    max_tokens=40,
    temperature=0.9,
    top_k=0,
    top_p=0.9,
    seed=1,
    stop=("<|endoftext|>",),
    deadline_s=60,
)
BROKEN = "\N{REPLACEMENT CHARACTER}"


class HeldClock:
    """A clock that a test sets; the engine's thread can be held at its next look, or be made to fail there."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tick = 0.0  # seconds that pass at each look of the engine's
        self.fault: Exception | None = None
        self.looks_left = 0
        self.free = threading.Event()
        self.reached = threading.Event()
        self.free.set()

    def __call__(self) -> float:
        if threading.current_thread().name == "engine":
            self.reached.set()
            assert self.free.wait(60)
            self.looks_left -= 1
            if self.fault and self.looks_left < 0:
                fault, self.fault = self.fault, None
                raise fault
            self.now += self.tick
        return self.now

    def fault_after(self, looks: int, fault: Exception) -> None:
        self.looks_left, self.fault = looks, fault

    def hold(self) -> None:
        self.free.clear()
        self.reached.clear()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("served")
    source = write_hugging_face(folder / "source", tiny_checkpoint(HPARAMS, scale=0.3))
    made_at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return artifact.build(source, folder / "artifact", persona="Nobody", voice="invented", made_at=made_at)


@pytest.fixture(scope="module")
def engine(served: Artifact) -> Iterator[Engine]:
    running = Engine(served, Limits(threads=1, queue=100))
    yield running
    running.close(60)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def held(served: Artifact, clock: HeldClock) -> Iterator[Engine]:
    """An engine on the test's clock, with room for two requests besides the one in hand."""
    running = Engine(served, Limits(threads=1, queue=2, batch=1), clock=clock)
    yield running
    clock.free.set()
    running.close(60)


def completion(engine: Engine, request: Request, **changes: Any) -> Completion:
    return engine.submit(replace(request, **changes)).result(60)


def unstopped(engine: Engine, **changes: Any) -> Completion:
    return completion(engine, ASKED, stop=(), **changes)


def test_the_same_request_gives_the_same_text_every_time(engine: Engine, served: Artifact) -> None:
    alone = unstopped(engine)
    among_others = [engine.submit(replace(ASKED, stop=(), seed=seed)) for seed in (7, 1, 8, 1)]
    texts = [future.result(60).text for future in among_others]
    assert texts[1] == texts[3] == alone.text
    assert len(set(texts)) == 3
    another = Engine(served, Limits(threads=2, queue=1))
    assert unstopped(another).text == alone.text
    another.close(60)


def test_a_text_is_the_model_s_own_tokens_sampled_one_by_one(engine: Engine, served: Artifact) -> None:
    """Two rows of one batch, since the model's rounding depends on whether its rows are even."""
    tokenizer, batch = served.tokenizer(), Batch(Session(served, threads=1), slots=2, capacity=CONTEXT)
    ids, sampling = tokenizer.encode(ASKED.prompt), Sampling(0.9, top_k=0, top_p=0.9, seed=1)
    tokens = [sample(batch.prefill(0, ids, 0).logits[0], sampling, len(ids))]
    for position in range(len(ids), len(ids) + ASKED.max_tokens - 1):
        choices = batch.decode([tokens[-1], 0], [position, 0], [1, 1])
        tokens.append(sample(choices.logits[0], sampling, position + 1))
    done = unstopped(engine)
    assert done.text == tokenizer.decode(tokens).rstrip(BROKEN)
    assert (done.prompt_tokens, done.tokens, done.finish) == (len(ids), ASKED.max_tokens, "length")
    assert done.milliseconds > 0


def test_temperature_0_needs_no_seed(engine: Engine) -> None:
    assert len({unstopped(engine, temperature=0, seed=seed).text for seed in range(3)}) == 1


@given(seed=st.integers(0, 20), start=st.integers(0, 60), length=st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_the_text_ends_where_a_stop_text_first_begins(engine: Engine, seed: int, start: int, length: int) -> None:
    whole = unstopped(engine, seed=seed)
    stop = whole.text[start : start + length].strip(BROKEN)
    if stop and BROKEN not in stop:
        done = completion(engine, ASKED, seed=seed, stop=("never \N{SNOWMAN}", stop))
        assert done.text == whole.text[: whole.text.find(stop)].rstrip(BROKEN)
        assert done.finish == "stop"
        assert done.tokens <= whole.tokens


def test_of_several_stop_texts_the_one_that_is_complete_first_counts(engine: Engine) -> None:
    whole = unstopped(engine).text
    start = next(place for place, pair in enumerate(pairwise(whole)) if all("a" <= c <= "z" for c in pair))
    first, second = whole[start], whole[start + 1]
    done = completion(engine, ASKED, stop=(second, first, first + second, whole[:start] + first + "?"))
    assert done.text == whole[: whole.find(min(first, second, key=whole.find))].rstrip(BROKEN)


def test_no_text_ends_in_half_a_character(engine: Engine) -> None:
    texts = [unstopped(engine, seed=seed, max_tokens=length).text for seed in range(5) for length in range(1, 20)]
    assert not any(text.endswith(BROKEN) for text in texts)
    assert any(BROKEN in text for text in texts)  # random weights do write halves


def test_a_request_may_fill_the_context_and_no_more(engine: Engine, served: Artifact) -> None:
    ids = len(served.tokenizer().encode(ASKED.prompt))
    assert unstopped(engine, max_tokens=CONTEXT - ids).tokens == CONTEXT - ids
    with pytest.raises(PromptTooLong, match=f"more than the {ids - 1} tokens") as caught:
        unstopped(engine, max_tokens=CONTEXT - ids + 1)
    assert caught.value.parameter == "prompt"
    long = unstopped(engine, prompt="word " * 40, max_tokens=1)
    assert long.prompt_tokens > 64


@pytest.mark.parametrize("word", ["x", "🙂", " ", "a b "])
def test_a_prompt_of_megabytes_is_refused_at_once(engine: Engine, word: str) -> None:
    began = time.perf_counter()
    with pytest.raises(PromptTooLong):
        unstopped(engine, prompt=word * 5_000_000)
    assert time.perf_counter() - began < 20


def test_any_text_is_a_prompt(engine: Engine) -> None:
    for prompt in ("\0", "🙂", "\ud83d", "\n\n", "<|endoftext|>", " "):
        assert unstopped(engine, prompt=prompt, max_tokens=3).tokens == 3


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("prompt", ""),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", CONTEXT),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_p", float("nan")),
        ("seed", -1),
        ("seed", 2**64),
        ("stop", ("",)),
        ("stop", ("\ud83d",)),
        ("deadline_s", 0),
        ("deadline_s", float("nan")),
    ],
)
def test_a_parameter_out_of_its_range_is_named(engine: Engine, parameter: str, value: object) -> None:
    with pytest.raises(BadRequest, match=f"^{parameter} ") as caught:
        completion(engine, ASKED, **{parameter: value})
    assert caught.value.parameter == parameter


def test_a_full_queue_says_how_long_to_wait(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    futures = [held.submit(ASKED) for _ in range(3)]
    with pytest.raises(QueueFull) as caught:
        held.submit(ASKED)
    assert caught.value.wait_seconds == 3  # a guess of one second each
    clock.now += 10
    clock.free.set()
    wait(futures)
    assert unstopped(held).tokens == ASKED.max_tokens


def test_the_wait_is_that_of_recent_requests(held: Engine, clock: HeldClock) -> None:
    clock.tick = 0.5
    first = held.submit(ASKED).result(60)
    assert first.milliseconds >= 500
    clock.hold()
    for _ in range(3):
        held.submit(ASKED)
    with pytest.raises(QueueFull) as caught:
        held.submit(ASKED)
    assert caught.value.wait_seconds == 3 * first.milliseconds / 1000


def test_a_cancelled_request_frees_its_place(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    running, waiting, last = [held.submit(ASKED) for _ in range(3)]
    assert clock.reached.wait(60)
    assert waiting.cancel()
    another = held.submit(ASKED)
    assert running.cancel()
    clock.free.set()
    assert wait([running, waiting], timeout=60).not_done == set()
    with pytest.raises(CancelledError):
        running.result(0)
    assert last.result(60).text == another.result(60).text


def test_a_request_fails_when_its_time_is_up_in_the_queue_or_in_work(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    running, waiting, patient = (held.submit(replace(ASKED, deadline_s=seconds)) for seconds in (5, 7, 60))
    assert clock.reached.wait(60)
    clock.now += 7
    clock.free.set()
    for overdue in (running, waiting):
        with pytest.raises(DeadlineExceeded):
            overdue.result(60)
    assert patient.result(60).prompt_tokens > 0


def test_an_unexpected_failure_is_that_of_one_request(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    failing, next_one = held.submit(ASKED), held.submit(ASKED)
    clock.fault_after(2, RuntimeError("the disk is on fire"))
    clock.free.set()
    with pytest.raises(EngineFailed, match="the disk is on fire") as caught:
        failing.result(60)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert next_one.result(60).tokens > 0


def test_a_closed_engine_finishes_what_it_has_and_takes_no_more(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    futures = [held.submit(ASKED) for _ in range(3)]
    closing = threading.Thread(target=held.close, args=(60,))
    closing.start()
    clock.free.set()
    closing.join(60)
    assert all(future.result(0).tokens for future in futures)
    with pytest.raises(EngineClosed):
        held.submit(ASKED)


def test_what_is_not_done_when_the_engine_is_closed_fails(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    futures = [held.submit(ASKED) for _ in range(3)]
    assert clock.reached.wait(60)
    closing = threading.Thread(target=held.close, args=(0,))
    closing.start()
    for future in futures:
        with pytest.raises(EngineClosed):
            future.result(60)
    clock.free.set()
    closing.join(60)
    assert not closing.is_alive()


def test_an_engine_names_its_runtime_and_its_mode(engine: Engine) -> None:
    assert engine.identity == f"onnxruntime {onnxruntime.__version__} / repeatable"


ANY = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(["<|startoftext|>", "<|startoftext|>tea", "a b c d e f g h i " * 5]),
        "max_tokens": st.integers(1, 30),
        "temperature": st.sampled_from([0, 0.3, 1, 3]),
        "top_k": st.sampled_from([0, 1, 5, 300]),
        "top_p": st.sampled_from([0.1, 0.9, 1]),
        "seed": st.integers(0, 2**64 - 1),
        "repetition_penalty": st.sampled_from([1, 1.3]),
        "banned": st.sampled_from([frozenset(), frozenset({1, 2, 3})]),
    }
)


@given(changes=st.lists(ANY, min_size=1, max_size=20))
@settings(deadline=None, max_examples=25)
def test_a_text_is_the_same_alone_in_a_crowd_and_streamed(engine: Engine, changes: list[dict[str, Any]]) -> None:
    requests = [replace(ASKED, **each) for each in changes]
    alone = [engine.submit(request).result(60).text for request in requests]
    heard = [Heard() for _ in requests]
    crowd = [engine.submit(request, listener) for request, listener in zip(requests, heard, strict=True)]
    assert [future.result(60).text for future in crowd] == alone
    assert ["".join(one.pieces) for one in heard] == alone


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def __call__(self, more: str, /) -> None:
        self.pieces.append(more)


def test_a_stream_shows_whole_characters_and_no_part_of_a_stop_text(engine: Engine) -> None:
    for seed in range(20):
        whole = unstopped(engine, seed=seed)
        stop = whole.text[20:26]
        if len(stop) == 6 and BROKEN not in stop:
            heard = Heard()
            done = engine.submit(replace(ASKED, stop=(stop,), seed=seed), heard).result(60)
            assert "".join(heard.pieces) == done.text
            shown = [done.text[: sum(map(len, heard.pieces[:count]))] for count in range(len(heard.pieces) + 1)]
            assert all(done.text.startswith(text) for text in shown)


def test_a_listener_that_fails_costs_its_own_request_alone(engine: Engine) -> None:
    def fail(more: str, /) -> None:
        raise RuntimeError(more)

    failing, other = engine.submit(ASKED, fail), engine.submit(ASKED)
    with pytest.raises(EngineFailed):
        failing.result(60)
    assert other.result(60).text


def test_askers_have_equal_shares_and_the_background_comes_last(served: Artifact, clock: HeldClock) -> None:
    running = Engine(served, Limits(threads=1, queue=20, batch=1), clock=clock)
    clock.hold()
    order: list[str] = []
    asked = [("greedy", False)] * 4 + [("site", True)] * 2 + [("modest", False)] * 2
    futures = []
    for asker, background in asked:
        request = replace(ASKED, asker=asker, background=background, max_tokens=2)
        futures.append(running.submit(request))
        futures[-1].add_done_callback(lambda _, who=asker: order.append(who))  # type: ignore[misc]
    clock.free.set()
    wait(futures, 60)
    running.close(60)
    assert order == ["greedy", "modest", "greedy", "modest", "greedy", "greedy", "site", "site"]


def test_a_crowded_background_leaves_the_queue_open_to_the_others(held: Engine, clock: HeldClock) -> None:
    clock.hold()
    background = replace(ASKED, background=True)
    first = held.submit(background)
    assert clock.reached.wait(60)
    held.submit(background), held.submit(background)
    with pytest.raises(QueueFull):
        held.submit(background)
    assert held.submit(ASKED) is not first


def test_the_cache_is_bounded_and_one_text_always_fits(served: Artifact) -> None:
    small = Engine(served, Limits(threads=1, queue=20, cache_bytes=1))
    futures = [small.submit(replace(ASKED, stop=(), seed=seed, max_tokens=100)) for seed in range(5)]
    assert all(future.result(60).tokens == 100 for future in futures)
    small.close(60)


def test_banned_tokens_are_never_written(engine: Engine, served: Artifact) -> None:
    banned = frozenset(range(400)) - {40, 41}
    text = unstopped(engine, banned=banned).text
    tokenizer = served.tokenizer()
    assert set(text) <= set(tokenizer.decode([40, 41]))


def test_a_penalty_makes_a_text_repeat_itself_less(engine: Engine) -> None:
    plain, punished = (
        unstopped(engine, temperature=0, max_tokens=100, repetition_penalty=penalty).text for penalty in (1, 5)
    )
    assert len(set(punished.split())) >= len(set(plain.split()))
    assert plain != punished

"""The engine: a queue of requests, and one thread that writes a text for each of them in turn."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

import onnxruntime

from model.artifact import Artifact
from model.sampling import Sampling, sample
from model.session import Row, Session
from model.tokenizer import without_surrogates

PIECE: Final = 64  # tokens of a prompt that are taken in at once
RECENT: Final = 16  # completions that an estimate of the wait is made from
FIRST_GUESS: Final = 1.0  # seconds for a completion, before there was one


class EngineError(Exception):
    """No completion; the text says why.

    EngineError
    ├── BadRequest         the caller: a parameter that cannot be used
    │   └── PromptTooLong  the caller: the context has no room for it
    ├── QueueFull          the caller: come back in so many seconds
    ├── DeadlineExceeded   the caller: it took too long
    ├── EngineClosed       the caller: the process is stopping
    └── EngineFailed       the operator: its cause is what went wrong
    """


class BadRequest(EngineError):  # noqa: N818 - the caller's fault, as HTTP says it
    """A parameter has a value that cannot be used."""

    def __init__(self, parameter: str, fault: str) -> None:
        super().__init__(f"{parameter} {fault}")
        self.parameter: Final = parameter


class PromptTooLong(BadRequest):
    """A prompt leaves too little room in the model's context."""


class QueueFull(EngineError):  # noqa: N818 - a state, not a fault
    """As many requests wait as may."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"Too many requests are waiting; try again in about {wait_seconds:.0f} s")
        self.wait_seconds: Final = wait_seconds


class DeadlineExceeded(EngineError):  # noqa: N818 - an outcome
    """A request was not done within its time."""


class EngineClosed(EngineError):  # noqa: N818 - a state
    """The engine takes no more requests, and gave up those that it had."""


class EngineFailed(EngineError):  # noqa: N818 - an outcome
    """Something unexpected went wrong with this one request."""


@dataclass(frozen=True)
class Request:
    """What to write. The same request gives the same text on the same artifact."""

    prompt: str
    max_tokens: int
    temperature: float  # 0: always the likeliest token
    top_k: int  # 0: all tokens
    top_p: float  # 1: all tokens
    seed: int  # 0 to 2**64 - 1
    stop: tuple[str, ...]  # texts that end the completion and are not part of it
    deadline_s: float  # seconds from now


@dataclass(frozen=True)
class Completion:
    """What follows the prompt."""

    text: str
    prompt_tokens: int
    tokens: int  # written, those of the stop text included
    finish: Literal["stop", "length"]
    milliseconds: float  # of work, without the time in the queue


@dataclass(frozen=True, eq=False)
class _Job:
    request: Request
    future: Future[Completion]
    deadline: float  # of the engine's clock


class Engine:
    """An artifact that answers requests, one at a time and in their order. Its methods may be called by any thread."""

    def __init__(
        self, artifact: Artifact, *, threads: int, queue: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Load the artifact and start the thread.

        `threads` work on one step; `queue` requests may wait besides the one that is being answered; `clock` gives
        seconds. Raises ArtifactError.
        """
        self.identity: Final = f"onnxruntime {onnxruntime.__version__} / repeatable"
        self._tokenizer: Final = artifact.tokenizer()
        self._session: Final = Session(artifact, threads=threads)
        self._n_ctx: Final = artifact.manifest.hparams.n_ctx
        self._queue: Final = queue
        self._clock: Final = clock
        self._changed: Final = threading.Condition()  # guards what follows
        self._waiting: Final[deque[_Job]] = deque()
        self._running: _Job | None = None
        self._recent_s: Final[deque[float]] = deque(maxlen=RECENT)
        self._closed = False
        self._thread: Final = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Completion]:
        """Put a request in the queue. Its future may be cancelled at any time, which frees its place.

        The future fails with PromptTooLong, DeadlineExceeded, EngineClosed or EngineFailed.

        Raises:
            BadRequest: a parameter is out of its range.
            QueueFull: no place in the queue.
            EngineClosed: the engine is closing.
        """
        _check(request, self._n_ctx)
        with self._changed:
            if self._closed:
                raise EngineClosed("The engine is closed")
            if len(self._jobs()) > self._queue:
                raise QueueFull(self._wait_seconds())
            job = _Job(request, Future(), self._clock() + request.deadline_s)
            self._waiting.append(job)
            self._changed.notify()
        job.future.add_done_callback(lambda _: self._leave(job))
        return job.future

    def close(self, timeout_s: float) -> None:
        """Take no more requests, give those in hand so many seconds, and let the rest fail with EngineClosed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        for job in self._jobs():
            _fail(job.future, EngineClosed("The engine was closed before this request was done"))
        self._thread.join()  # it sees that after the step it is at

    def _wait_seconds(self) -> float:
        """Estimate when all that is in hand will be done."""
        each = sum(self._recent_s) / len(self._recent_s) if self._recent_s else FIRST_GUESS
        return each * len(self._jobs())

    def _leave(self, job: _Job) -> None:
        """Take a job that is done, or cancelled, out of the queue."""
        if job.future.cancelled():
            job.future.set_running_or_notify_cancel()  # without it concurrent.futures.wait() would not see it
        with self._changed, suppress(ValueError):
            self._waiting.remove(job)

    def _work(self) -> None:
        """Answer jobs until the engine is closed and none is left: what its thread does."""
        while job := self._next():
            try:
                completion = self._complete(job)
            except _GoneError:
                continue
            except EngineError as error:
                _fail(job.future, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next request must not suffer
                failed = EngineFailed(f"The engine failed on this request: {error}")
                failed.__cause__ = error
                _fail(job.future, failed)
            else:
                self._recent_s.append(completion.milliseconds / 1000)
                with suppress(InvalidStateError):  # cancelled at the last moment
                    job.future.set_result(completion)

    def _next(self) -> _Job | None:
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._waiting:
                self._running = self._waiting.popleft()
            return self._running

    def _complete(self, job: _Job) -> Completion:
        request, began = job.request, self._clock()
        ids = self._prompt_ids(request)
        row = Row(self._session, len(ids) + request.max_tokens)
        for start in range(0, len(ids), PIECE):
            self._check_wanted(job)
            logits = row.forward(ids[start : start + PIECE])
        sampling = Sampling(request.temperature, request.top_k, request.top_p, request.seed)
        text = _Text(request.stop)
        for tokens in range(1, request.max_tokens + 1):
            token = sample(logits[-1], sampling, row.length)
            text.add(self._tokenizer.token_bytes(token))
            if text.stopped or tokens == request.max_tokens:
                break
            self._check_wanted(job)
            logits = row.forward([token])
        milliseconds = (self._clock() - began) * 1000
        return Completion(str(text), len(ids), tokens, "stop" if text.stopped else "length", milliseconds)

    def _prompt_ids(self, request: Request) -> list[int]:
        room = self._n_ctx - request.max_tokens
        # What cannot fit by its bytes alone is not worth the time to encode it: a prompt is a stranger's text.
        may_fit = len(request.prompt.encode(errors="replace")) <= room * self._tokenizer.longest_token
        ids = self._tokenizer.encode(request.prompt) if may_fit else []
        if not may_fit or len(ids) > room:
            raise PromptTooLong("prompt", f"has more than the {room} tokens that {request.max_tokens} to write leave")
        return ids

    def _check_wanted(self, job: _Job) -> None:
        """Fail all jobs whose time is up; raise if this one is done, because of that or of somebody else."""
        now = self._clock()
        for each in self._jobs():
            if now >= each.deadline:
                _fail(each.future, DeadlineExceeded("The request was not done within its time"))
        if job.future.done():
            raise _GoneError

    def _jobs(self) -> list[_Job]:
        """Give what is in hand: the job that is being answered, and those that wait."""
        with self._changed:
            jobs = [self._running, *self._waiting] if self._running else self._waiting
            return [job for job in jobs if not job.future.done()]


class _GoneError(Exception):
    """Nobody waits for the request any more."""


class _Text:
    """The growing text of a completion, and the stop texts that end it."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self.stopped = False
        self._stop: Final = [text.encode() for text in stop]
        self._bytes: Final = bytearray()

    def add(self, more: bytes) -> None:
        """Add a token's bytes. The stop text that is complete first cuts the text where it begins."""
        unseen = len(self._bytes)
        self._bytes.extend(more)
        places = ((self._bytes.find(stop, max(0, unseen - len(stop) + 1)), len(stop)) for stop in self._stop)
        found = min(((place + length, place) for place, length in places if place >= 0), default=None)
        if found:
            self.stopped = True
            del self._bytes[found[1] :]

    def __str__(self) -> str:
        # Half a character may stand at the end, or before a stop text: what it decodes to is taken off.
        return self._bytes.decode("utf-8", errors="replace").rstrip("\N{REPLACEMENT CHARACTER}")


def _check(request: Request, n_ctx: int) -> None:
    """Raise BadRequest for the first parameter that is out of its range."""
    ranges: dict[str, tuple[bool, str]] = {
        "prompt": (request.prompt != "", "is empty"),
        "max_tokens": (1 <= request.max_tokens < n_ctx, f"is not from 1 to {n_ctx - 1}"),
        "temperature": (0 <= request.temperature < math.inf, "is not a number from 0 on"),
        "top_k": (request.top_k >= 0, "is less than 0"),
        "top_p": (0 < request.top_p <= 1, "is not above 0 and at most 1"),
        "seed": (0 <= request.seed < 2**64, "is not from 0 to 2**64 - 1"),
        "stop": (all(map(_is_text, request.stop)), "has an empty text, or half a character"),
        "deadline_s": (request.deadline_s > 0, "is not above 0"),
    }
    for parameter, (good, fault) in ranges.items():
        if not good:
            raise BadRequest(parameter, fault)


def _is_text(text: str) -> bool:
    return text != "" and without_surrogates(text) == text


def _fail(future: Future[Completion], error: EngineError) -> None:
    with suppress(InvalidStateError):  # it was done or cancelled meanwhile
        future.set_exception(error)

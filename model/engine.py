"""The engine: a thread in which requests join a running batch, are written a token at a time, and leave it."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

import onnxruntime

from model.artifact import Artifact
from model.requests import (
    Completion,
    DeadlineExceeded,
    EngineClosed,
    EngineError,
    EngineFailed,
    PromptTooLong,
    QueueFull,
    Request,
    check,
)
from model.sampling import Sampling
from model.session import Session
from model.text import GrowingText
from model.waiting import Job, Listener, Waiting
from model.writer import Text, Writer

RECENT: Final = 16  # completions that an estimate of the wait is made from
FIRST_GUESS: Final = 1.0  # seconds for a completion, before there was one


@dataclass(frozen=True)
class Limits:
    """How much of the machine the engine may take."""

    threads: int
    queue: int = 64  # requests of each class that may wait
    batch: int = 16  # texts that are written at once
    cache_bytes: int = 1 << 30  # of the KV cache; one text alone always gets what it needs
    spinning: bool = False
    repeatable: bool = True  # False: a lone text is a little faster, and may differ where others run beside it


class Engine:
    """An artifact that answers many requests at once. Its methods may be called by any thread."""

    def __init__(self, artifact: Artifact, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the artifact and start the thread; `clock` gives seconds. Raises ArtifactError."""
        mode = "repeatable" if limits.repeatable else "fast"
        self.identity: Final = f"onnxruntime {onnxruntime.__version__} / {mode}"
        self._tokenizer: Final = artifact.tokenizer()
        self._hparams: Final = artifact.manifest.hparams
        self._limits: Final = limits
        self._clock: Final = clock
        self._writer: Final = Writer(
            Session(artifact, threads=limits.threads, spinning=limits.spinning),
            self._tokenizer,
            most=limits.batch,
            cache_bytes=limits.cache_bytes,
            repeatable=limits.repeatable,
        )
        self._changed: Final = threading.Condition()  # guards what follows
        self._waiting: Final = Waiting(limits.queue)
        self._working: Final[dict[Text, _Work]] = {}
        self._recent_s: Final[deque[float]] = deque(maxlen=RECENT)
        self._closed = False
        self._thread: Final = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, listener: Listener | None = None) -> Future[Completion]:
        """Put a request in the queue. Its future may be cancelled at any time, which frees its place.

        The engine's thread calls `listener` with each piece of the text as it comes: whole characters, never a part of
        a stop text, all of them together the completion's text.

        The future fails with PromptTooLong, DeadlineExceeded, EngineClosed or EngineFailed.

        Raises:
            BadRequest: a parameter is out of its range.
            QueueFull: no place in the queue.
            EngineClosed: the engine is closing.
        """
        check(request, n_ctx=self._hparams.n_ctx, n_vocab=self._hparams.n_vocab)
        job = Job(request, Future(), self._clock() + request.deadline_s, listener)
        with self._changed:
            if self._closed:
                raise EngineClosed("The engine is closed")
            free_rows = self._limits.batch - len(self._working)
            if self._waiting.is_full(background=request.background, free_rows=free_rows):
                raise QueueFull(self._wait_seconds())
            self._waiting.put(job)
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
        return each * -(-(len(self._waiting) + len(self._working)) // self._limits.batch)

    def _leave(self, job: Job) -> None:
        """Take a job that is done, or cancelled, out of the queue."""
        if job.future.cancelled():
            job.future.set_running_or_notify_cancel()  # without it concurrent.futures.wait() would not see it
        with self._changed:
            self._waiting.leave(job)
            self._changed.notify()

    def _run(self) -> None:
        """Write until the engine is closed and nothing is left: what its thread does."""
        while self._has_work():
            try:
                self._drop_unwanted()
                self._admit()
                if not self._writer.is_idle:
                    self._settle(self._writer.step())
            except Exception as error:  # noqa: BLE001 - whatever it is, the next request must not suffer
                self._give_up(error)

    def _has_work(self) -> bool:
        with self._changed:
            if not self._working and not self._waiting:
                self._writer.rest()
            self._changed.wait_for(lambda: self._working or self._waiting or self._closed)
            return bool(self._working or self._waiting)

    def _drop_unwanted(self) -> None:
        """Fail all jobs whose time is up, and free the slots of those that nobody waits for."""
        now = self._clock()
        for job in self._jobs():
            if now >= job.deadline:
                _fail(job.future, DeadlineExceeded("The request was not done within its time"))
        for text, work in tuple(self._working.items()):
            if not work.job.is_wanted:
                self._remove(text)

    def _admit(self) -> None:
        """Let jobs in as long as there is place for them."""
        while self._writer.can_enter(room=1) and (job := self._next()):
            try:
                text = self._text(job.request)
            except EngineError as error:
                _fail(job.future, error)
                continue
            with self._changed:
                if not self._writer.can_enter(text.room):
                    self._waiting.put_back(job)
                    return
                self._working[text] = _Work(job, began=self._clock())
            self._writer.enter(text)
            if text.written:  # its prompt was known
                self._settle([text])

    def _next(self) -> Job | None:
        running = Counter(work.job.request.asker for work in self._working.values())
        with self._changed:
            return self._waiting.take(running)

    def _text(self, request: Request) -> Text:
        room = self._hparams.n_ctx - request.max_tokens
        # A stranger's text of any length is not worth the time to encode it all.
        ids = self._tokenizer.encode(request.prompt[: room * self._tokenizer.longest_token + 1])
        if len(ids) > room:
            raise PromptTooLong("prompt", f"has more than the {room} tokens that {request.max_tokens} to write leave")
        sampling = Sampling(
            request.temperature,
            request.top_k,
            request.top_p,
            request.seed,
            request.repetition_penalty,
            request.banned,
        )
        return Text(ids, request.max_tokens, sampling, GrowingText(request.stop))

    def _settle(self, texts: list[Text]) -> None:
        """Tell the listeners, and bring to an end what is over."""
        for text in texts:
            work = self._working[text]
            try:
                work.tell(text)
            except Exception as error:  # noqa: BLE001 - a listener's mistake is its own request's alone
                _fail(work.job.future, _failed(error))
            if text.is_over or not work.job.is_wanted:
                self._finish(text, work)

    def _finish(self, text: Text, work: "_Work") -> None:
        self._remove(text)
        seconds = self._clock() - work.began
        self._recent_s.append(seconds)
        growing = text.growing
        finish: Literal["stop", "length"] = "stop" if growing.stopped else "length"
        done = Completion(str(growing), len(text.ids), len(text.written), finish, 1000 * seconds)
        with suppress(InvalidStateError):  # cancelled at the last moment
            work.job.future.set_result(done)

    def _remove(self, text: Text) -> None:
        self._writer.leave(text)
        with self._changed:
            del self._working[text]

    def _give_up(self, error: Exception) -> None:
        """Fail what is in work, or else what waits: the same failure must not come again for ever."""
        for job in [work.job for work in self._working.values()] or list(self._waiting):
            _fail(job.future, _failed(error))
        for text in tuple(self._working):
            self._remove(text)

    def _jobs(self) -> list[Job]:
        with self._changed:
            return [*self._waiting, *(work.job for work in self._working.values())]


@dataclass(frozen=True)
class _Work:
    """A job whose text is being written."""

    job: Job
    began: float  # of the engine's clock

    def tell(self, text: Text) -> None:
        """Give the listener what is new."""
        if self.job.listener and (more := text.growing.take(over=text.is_over)):
            self.job.listener(more)


def _failed(error: Exception) -> EngineFailed:
    failed = EngineFailed(f"The engine failed on this request: {error}")
    failed.__cause__ = error
    return failed


def _fail(future: Future[Completion], error: EngineError) -> None:
    with suppress(InvalidStateError):  # it was done or cancelled meanwhile
        future.set_exception(error)

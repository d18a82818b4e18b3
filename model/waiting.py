"""The requests that wait for a place in the batch, and whose turn it is."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from model.requests import Completion, Request


class Listener(Protocol):
    """Who is told of a text as it grows, by the engine's thread."""

    def __call__(self, more: str, /) -> None:
        """Take the next piece of the text."""


@dataclass(frozen=True, eq=False)
class Job:
    """A request in hand."""

    request: Request
    future: Future[Completion]
    deadline: float  # of the engine's clock
    listener: Listener | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.future.done()


@dataclass
class Waiting:
    """Jobs in the order of their arrival; each class of them may have `places`."""

    places: int
    _jobs: list[Job] = field(default_factory=list)
    _served: Counter[str] = field(default_factory=Counter)
    """How many jobs of each asker who waits have been taken."""

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs))

    def __len__(self) -> int:
        return len(self._jobs)

    def is_full(self, *, background: bool, free_rows: int) -> bool:
        """Whether a class has no place left: the background cannot keep the others out.

        Who will find one of the `free_rows` does not count as waiting.
        """
        return sum(job.request.background == background for job in self._jobs) >= self.places + free_rows

    def put(self, job: Job) -> None:
        """Let a job wait."""
        self._jobs.append(job)

    def put_back(self, job: Job) -> None:
        """Let a job wait that was taken and found no place; it stays the first of its kind."""
        self._jobs.insert(0, job)
        self._served[job.request.asker] -= 1

    def leave(self, job: Job) -> None:
        """Take a job out that is done or given up."""
        with suppress(ValueError):
            self._jobs.remove(job)

    def take(self, running: Counter[str]) -> Job | None:
        """The next job: no background one while others wait, and then of the asker who has had least.

        `running` counts the rows that each asker has in the batch.
        """
        turns = [(job.request.background, self._share(job, running), place) for place, job in enumerate(self._jobs)]
        if not turns:
            return None
        job = self._jobs.pop(min(turns)[2])
        self._served[job.request.asker] += 1
        askers = {other.request.asker for other in self._jobs} | running.keys()
        self._served = Counter({asker: count for asker, count in self._served.items() if asker in askers})
        return job

    def _share(self, job: Job, running: Counter[str]) -> tuple[int, int]:
        asker = job.request.asker
        return running[asker], self._served[asker]

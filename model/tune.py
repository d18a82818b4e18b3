"""Which settings of the engine fit an artifact on the machine at hand: measured once, and kept beside the data."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from model.artifact import Artifact
from model.batch import Batch
from model.session import Session

ROWS: Final = (2, 8, 16)
LENGTH: Final = 64  # tokens in each row while it is measured
STEPS: Final = 12
ROUNDS: Final = 3
WORTH_IT: Final = 1.1
"""More threads must be this much faster: those that gain nothing are the event loop's."""


@dataclass(frozen=True)
class Speed:
    """What a number of threads does: steps a second of the median round, for each number of rows."""

    threads: int
    steps_a_second: dict[int, float]

    @property
    def score(self) -> float:
        """The product over the numbers of rows: twice as fast for a few weighs like twice as fast for many."""
        product = 1.0
        for speed in self.steps_a_second.values():
            product *= speed
        return float(product ** (1 / len(self.steps_a_second)))


@dataclass(frozen=True)
class Tuned:
    """The settings that were found."""

    threads: int


def measure(artifact: Artifact, *, cores: int, clock: Callable[[], float] = time.perf_counter) -> list[Speed]:
    """The speed of 1, 2, 4 … threads and of all cores, in turns, since a machine's speed drifts; `clock` in seconds."""
    counts = sorted({cores, *(1 << power for power in range(cores.bit_length()) if 1 << power <= cores)})
    batches = {threads: _batches(artifact, threads) for threads in counts}
    rounds = [{threads: _round(batches[threads], clock) for threads in counts} for _ in range(ROUNDS)]
    return [
        Speed(threads, {rows: median(each[threads][rows] for each in rounds) for rows in ROWS}) for threads in counts
    ]


def choose(speeds: list[Speed]) -> Tuned:
    """The fewest threads that no greater number beats by much."""
    best = speeds[0]
    for speed in speeds[1:]:
        if speed.score > WORTH_IT * best.score:
            best = speed
    return Tuned(best.threads)


def keep(tuned: Tuned, folder: Path, artifact: Artifact) -> Path:
    """Write what was found for an artifact into a folder of such notes."""
    folder.mkdir(parents=True, exist_ok=True)
    note = _note(folder, artifact)
    note.write_text(json.dumps(asdict(tuned)) + "\n", encoding="utf-8")
    return note


def kept(folder: Path, artifact: Artifact) -> Tuned | None:
    """What was found before, on a machine with as many cores; None where there is nothing, or nothing readable."""
    try:
        threads = json.loads(_note(folder, artifact).read_text(encoding="utf-8"))["threads"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Tuned(threads) if isinstance(threads, int) and threads >= 1 else None


def _note(folder: Path, artifact: Artifact) -> Path:
    return folder / f"{artifact.digest[:16]}-{os.cpu_count()}-cores.json"


def _batches(artifact: Artifact, threads: int) -> dict[int, Batch]:
    session = Session(artifact, threads=threads)
    return {rows: Batch(session, slots=rows, capacity=LENGTH + STEPS) for rows in ROWS}


def _round(batches: dict[int, Batch], clock: Callable[[], float]) -> dict[int, float]:
    return {rows: _steps_a_second(batch, rows, clock) for rows, batch in batches.items()}


def _steps_a_second(batch: Batch, rows: int, clock: Callable[[], float]) -> float:
    began = clock()
    for step in range(STEPS):
        batch.decode([1] * rows, [LENGTH + step] * rows, [1.0] * rows)
    return STEPS / max(clock() - began, 1e-9)

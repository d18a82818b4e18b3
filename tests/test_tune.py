"""Which settings fit the machine."""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import generation, settings
from model import artifact, tune
from model.artifact import Artifact
from model.tune import Speed, Tuned
from tests.checkpoints import tiny_checkpoint, write_hugging_face


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("served")
    source = write_hugging_face(folder / "source", tiny_checkpoint())
    made_at = datetime(2026, 11, 22, tzinfo=UTC)
    return artifact.build(source, folder / "artifact", persona="Nobody", voice="invented", made_at=made_at)


def speed(threads: int, steps: float) -> Speed:
    return Speed(threads, dict.fromkeys(tune.ROWS, steps))


@pytest.mark.parametrize(
    ("speeds", "threads"),
    [
        ([speed(1, 100)], 1),
        ([speed(1, 100), speed(2, 105)], 1),
        ([speed(1, 100), speed(2, 180), speed(4, 190)], 2),
        ([speed(1, 100), speed(2, 90), speed(4, 300)], 4),
    ],
)
def test_more_threads_are_taken_only_where_they_are_worth_it(speeds: list[Speed], threads: int) -> None:
    assert tune.choose(speeds) == Tuned(threads)


def test_every_number_of_threads_is_measured_up_to_all_cores(served: Artifact) -> None:
    ticks = itertools.count()
    speeds = tune.measure(served, cores=3, clock=lambda: float(next(ticks)))
    assert [found.threads for found in speeds] == [1, 2, 3]
    assert all(found.steps_a_second == dict.fromkeys(tune.ROWS, tune.STEPS) for found in speeds)


def test_what_was_found_is_used_by_the_next_start_unless_it_is_set(served: Artifact, tmp_path: Path) -> None:
    chosen = settings.read(millzbot_data=tmp_path)
    assert generation.threads(chosen, served) == os.cpu_count()
    tune.keep(Tuned(7), generation.tuned_in(chosen), served)
    assert generation.threads(chosen, served) == 7
    assert generation.threads(settings.read(millzbot_data=tmp_path, model_threads=3), served) == 3


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"threads": 0}', '{"threads": "two"}', "\ud83d"])
def test_a_note_that_cannot_be_read_is_as_none(served: Artifact, tmp_path: Path, content: str) -> None:
    note = tune.keep(Tuned(7), tmp_path, served)
    note.write_text(content, errors="replace")
    assert tune.kept(tmp_path, served) is None

"""The engine behind the port, and how a model gets there."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import generation, settings
from app.errors import Busy, GenerationError, StartError
from app.generation import InProcess
from app.ports import Order, Sampling, Voice
from model import artifact, graph
from model.artifact import Artifact
from model.engine import Engine, Limits
from tests.checkpoints import python, tiny_checkpoint, write_hugging_face
from tests.fakes import VOICE
from training.corpus import START

SERVE = """
import asyncio, sys
from app import generation, main, settings

async def serve():
    async with generation.running(settings.read(model_path=sys.argv[1], millzbot_data=sys.argv[2])):
        loaded = {"tensorflow", "gpt_2_simple", "onnx", "safetensors"} & set(sys.modules)
        assert not loaded, loaded

asyncio.run(serve())
"""

ORDER = Order(START, 1, Sampling(max_tokens=20), ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Hugging Face folder of a small model."""
    return write_hugging_face(tmp_path / "checkpoint", tiny_checkpoint())


def writer(served: Artifact, *, queue: int = 8) -> InProcess:
    return InProcess(Engine(served, Limits(threads=1, queue=queue, batch=1)), VOICE)


def test_a_checkpoints_folder_is_imported_once_and_kept(folder: Path, tmp_path: Path) -> None:
    first = generation.load(folder, tmp_path / "models")
    second = generation.load(folder, tmp_path / "models")
    assert (first.folder.parent, first.digest) == (tmp_path / "models", second.digest)
    assert first.manifest.voice == "unknown"


def test_a_changed_checkpoint_is_imported_anew(folder: Path, tmp_path: Path) -> None:
    first = generation.load(folder, tmp_path / "models")
    write_hugging_face(folder, tiny_checkpoint(seed=1))
    assert generation.load(folder, tmp_path / "models").folder != first.folder


def test_a_kept_import_that_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    kept = generation.load(folder, tmp_path / "models").folder
    with (kept / graph.WTE_FILE).open("r+b") as file:
        file.write(b"\x00\x01\x02")
    with pytest.raises(StartError, match=r"MODEL_PATH: .*wte\.bin has changed"):
        generation.load(folder, tmp_path / "models")


def test_a_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"MODEL_PATH: .*nowhere"):
        generation.load(tmp_path / "nowhere", tmp_path / "models")


def test_a_serving_process_never_loads_what_training_needs(folder: Path, tmp_path: Path) -> None:
    done = python(SERVE, folder, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Artifact:
    """The small model, imported in this process."""
    made = datetime(2026, 11, 22, tzinfo=UTC)
    return artifact.build(folder, tmp_path / "served", persona="Nobody", voice="invented", made_at=made)


async def test_an_order_is_written_and_counted(served: Artifact) -> None:
    written = await writer(served).write(ORDER)
    assert (written.tokens, written.finish) == (20, "length")
    assert written.text


async def test_the_voice_is_what_the_artifact_says(served: Artifact, tmp_path: Path) -> None:
    chosen = settings.read(model_path=served.folder, millzbot_data=tmp_path)
    async with generation.running(chosen) as generator:
        engine = generator.voice.engine
        assert generator.voice == Voice(served.digest, engine, "Nobody", "invented")


async def test_more_than_the_queue_holds_is_busy_for_a_stated_time(served: Artifact) -> None:
    one = writer(served, queue=1)
    long = Order(START, 1, Sampling(max_tokens=900), ())
    outcomes = await asyncio.gather(*(one.write(long) for _ in range(6)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert len(refused) >= 3
    assert all(busy.wait_seconds > 0 for busy in refused)


async def test_what_the_engine_refuses_is_told_in_its_words(served: Artifact) -> None:
    with pytest.raises(GenerationError, match="max_tokens"):
        await writer(served).write(Order(START, 1, Sampling(max_tokens=5000), ()))


async def test_an_order_that_nobody_waits_for_frees_its_place(served: Artifact) -> None:
    one = writer(served, queue=1)
    long = Order(START, 1, Sampling(max_tokens=900), ())
    running, waiting = asyncio.create_task(one.write(long)), asyncio.create_task(one.write(long))
    await asyncio.sleep(0)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert (await one.write(ORDER)).tokens == 20

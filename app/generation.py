"""The Generator port: the engine in this process, and the artifact that it serves."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app import logs
from app.errors import Busy, GenerationError, StartError
from app.ports import Order, Voice, Written
from app.settings import Settings
from model import artifact as artifacts
from model import tune
from model.artifact import Artifact, ArtifactError
from model.checkpoint import CheckpointError
from model.engine import Engine, Limits
from model.requests import DeadlineExceeded, EngineError, QueueFull, Request

DEADLINE_S = 60.0
CLOSE_S = 1.0

log = logs.get(__name__)


@dataclass(frozen=True)
class InProcess:
    """The engine of `model`, asked from the event loop."""

    engine: Engine
    voice: Voice

    async def write(self, order: Order, asker: str = "") -> Written:
        """The continuation of an order. Raises Busy where the queue is full, GenerationError where nothing came."""
        try:
            done = await asyncio.wrap_future(self.engine.submit(_request(order, asker)))
        except QueueFull as full:
            raise Busy(full.wait_seconds) from None
        except DeadlineExceeded:
            raise GenerationError(f"The engine did not come to it within {DEADLINE_S:.0f} s.") from None
        except EngineError as error:
            raise GenerationError(str(error)) from error
        return Written(done.text, done.prompt_tokens, done.tokens, done.finish, round(done.milliseconds))


@asynccontextmanager
async def running(chosen: Settings) -> AsyncIterator[InProcess]:
    """The engine of the settings, for as long as the block runs. Raises StartError."""
    artifact = await asyncio.to_thread(served, chosen)
    try:
        engine = Engine(artifact, _limits(chosen, artifact))
    except ArtifactError as error:
        raise StartError(f"MODEL_PATH: {error}") from error
    manifest = artifact.manifest
    try:
        yield InProcess(engine, Voice(artifact.digest, engine.identity, manifest.persona, manifest.voice))
    finally:
        await asyncio.to_thread(engine.close, CLOSE_S)


def served(chosen: Settings, path: Path | None = None) -> Artifact:
    """The artifact at a path, by default the settings' own. Raises StartError."""
    return load(path or chosen.model_path, models_in(chosen))


def models_in(chosen: Settings) -> Path:
    """Where imported models are kept."""
    return chosen.millzbot_data / "models"


def load(path: Path, kept_in: Path) -> Artifact:
    """The artifact at a path, or the one that a run folder there was once imported to, imported now if need be.

    Raises StartError.
    """
    try:
        return artifacts.load(path if artifacts.is_artifact(path) else _imported(path, kept_in))
    except (ArtifactError, CheckpointError) as error:
        raise StartError(f"MODEL_PATH: {error}") from error


def _imported(source: Path, kept_in: Path) -> Path:
    out = kept_in / artifacts.kept_name(source)
    if not artifacts.is_artifact(out):
        _import_apart(source, out)
    return out


def _import_apart(source: Path, out: Path) -> None:
    """Import in a process of its own, so that this one never holds TensorFlow."""
    log.info("importing a model, once", source=str(source), out=str(out))
    words = [sys.executable, "-m", "app", "model", "import", str(source), "--out", str(out)]
    done = subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    if done.returncode != 0:
        raise StartError(f"MODEL_PATH: {done.stderr.strip().splitlines()[-1]}")


def threads(chosen: Settings, artifact: Artifact) -> int:
    """How many threads the engine gets: those set, else those found on this machine, else one for each core."""
    found = tune.kept(tuned_in(chosen), artifact)
    return chosen.model_threads or (found.threads if found else os.cpu_count() or 1)


def tuned_in(chosen: Settings) -> Path:
    """Where notes stand of what fits this machine."""
    return chosen.millzbot_data / "tuned"


def _limits(chosen: Settings, artifact: Artifact) -> Limits:
    return Limits(
        threads=threads(chosen, artifact),
        queue=chosen.model_queue,
        batch=chosen.model_max_batch,
        cache_bytes=chosen.model_cache_mb << 20,
        repeatable=chosen.model_repeatable,
    )


def _request(order: Order, asker: str) -> Request:
    sampling = order.sampling
    return Request(
        prompt=order.prompt,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        seed=order.seed,
        stop=order.stop,
        deadline_s=DEADLINE_S,
        asker=asker,
    )

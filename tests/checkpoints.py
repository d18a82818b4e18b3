"""Small models for the tests: texts, a vocabulary, random weights, and a run that gpt-2-simple itself trained."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model.checkpoint import Checkpoint, HParams, Source, shapes
from training.corpus import as_trained
from training.persona import grammar
from training.vocabulary import Vocabulary, train_vocabulary

ROOT = Path(__file__).resolve().parents[1]
TINY = HParams(n_vocab=400, n_ctx=1024, n_embd=64, n_head=2, n_layer=2)
STEPS = 150


@dataclass(frozen=True)
class TrainedRun:
    """The folder of a run, and what gpt_2_simple says of a text; the arrays are those of gpt2_simple_run.py."""

    folder: Path
    ids: NDArray[np.int64]
    whole: NDArray[np.float32]
    stepwise: NDArray[np.float32]


@cache
def trained_run(kept: Path) -> TrainedRun:
    """Let gpt-2-simple train the tiny model, or take the one in `kept` that the same recipe made before."""
    folder = kept / _recipe_digest()
    if not folder.exists():
        _train(folder)
    with np.load(folder / "reference.npz") as reference:
        arrays: dict[str, Any] = dict(reference)
    return TrainedRun(folder / "checkpoint" / "run1", **arrays)


def tiny_checkpoint(hparams: HParams = TINY, *, seed: int = 0, scale: float = 0.2) -> Checkpoint:
    """A model of random weights; a larger scale makes it surer of its next token."""
    stream = np.random.default_rng(seed)
    weights = {name: stream.normal(0, scale, shape).astype(np.float32) for name, shape in shapes(hparams).items()}
    vocabulary = tiny_vocabulary(hparams.n_vocab)
    return Checkpoint(hparams, weights, vocabulary.ids, vocabulary.merges, Source("hugging-face", "tiny", step=None))


@cache
def tiny_vocabulary(size: int = TINY.n_vocab) -> Vocabulary:
    return train_vocabulary([posts(seed=1, count=500)], size)


def posts(*, seed: int, count: int) -> str:
    """So many of the invented persona's posts, as a model is trained on them."""
    return "".join(map(as_trained, grammar.posts(grammar.read_grammar(), count=count, seed=seed)))


def write_hugging_face(folder: Path, checkpoint: Checkpoint, *, prefix: str = "transformer.") -> Path:
    """Write a checkpoint as Hugging Face's GPT-2 does."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = asdict(checkpoint.hparams)
    config = {"model_type": "gpt2", "vocab_size": sizes.pop("n_vocab"), "n_positions": sizes.pop("n_ctx"), **sizes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps(checkpoint.vocabulary))
    merges = "".join(f"{first} {second}\n" for first, second in checkpoint.merges)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}")
    save_file(hugging_face_tensors(checkpoint, prefix), folder / "model.safetensors")
    return folder


def original_encoder(folder: Path) -> Any:
    """gpt-2-simple's own encoder, from its file: importing its package would import TensorFlow."""
    package = importlib.util.find_spec("gpt_2_simple")
    assert package
    assert package.origin
    spec = importlib.util.spec_from_file_location("encoder", Path(package.origin).parent / "src" / "encoder.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_encoder(str(folder))


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, in the checkout's folder."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def hugging_face_tensors(checkpoint: Checkpoint, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    names = {"ln_f/g": "ln_f.weight", "ln_f/b": "ln_f.bias", "wte": "wte.weight", "wpe": "wpe.weight"}
    ends = {"/w": ".weight", "/g": ".weight", "/b": ".bias"}
    for name in checkpoint.weights.keys() - names.keys():
        layer, path = name.split("/", 1)
        names[name] = f"h.{layer[1:]}.{path[:-2].replace('/', '.')}{ends[path[-2:]]}"
    return {prefix + names[name]: weight for name, weight in checkpoint.weights.items()}


def _train(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as half:
        made = Path(half) / "made"
        made.mkdir()
        words = [sys.executable, "-m", "tests.gpt2_simple_run", str(made), str(STEPS)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with suppress(OSError):  # another session was as quick
            made.rename(folder)


def _recipe_digest() -> str:
    """What decides the trained run: the code that makes it, and the versions that it runs on."""
    files = [*(ROOT / "training").rglob("*"), Path(__file__), Path(__file__).with_name("gpt2_simple_run.py")]
    digest = hashlib.sha256(repr(sys.version_info).encode())
    for name in ("tensorflow", "gpt-2-simple", "numpy", "tokenizers"):
        digest.update(version(name).encode())
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

"""A checkpoint: GPT-2's weights and vocabulary as gpt-2-simple or Hugging Face saved them, read and checked."""

import importlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.tokenizer import Tokenizer, VocabularyError, read_merges, read_vocabulary

Kind = Literal["gpt-2-simple", "hugging-face"]
Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, NDArray[np.float32]]
Vocabulary = tuple[dict[str, int], tuple[tuple[str, str], ...]]  # symbol to id, merges


class CheckpointError(Exception):
    """A checkpoint cannot be read; the text names the file and the fault."""


@dataclass(frozen=True)
class HParams:
    """A GPT-2's size, in the words of its hparams.json."""

    n_vocab: int
    n_ctx: int  # tokens
    n_embd: int
    n_head: int
    n_layer: int


@dataclass(frozen=True)
class Source:
    """Where a checkpoint comes from: what wrote it, its folder's name, its training step where that is known."""

    kind: Kind
    name: str
    step: int | None


@dataclass(frozen=True)
class Checkpoint:
    """All of a model. The weights have gpt-2-simple's names without `model/`; matrices are (in, out)."""

    hparams: HParams
    weights: Mapping[str, NDArray[np.float32]]
    vocabulary: Mapping[str, int]
    merges: tuple[tuple[str, str], ...]
    source: Source


def read(folder: Path) -> Checkpoint:
    """Read a gpt-2-simple run or a Hugging Face GPT-2 folder. Raises CheckpointError."""
    return _read_gpt_2_simple(folder) if kind(folder) == "gpt-2-simple" else _read_hugging_face(folder)


def kind(folder: Path) -> Kind:
    """Say who wrote a folder. Raises CheckpointError if it is neither's."""
    if (folder / "config.json").exists():
        return "hugging-face"
    if (folder / "checkpoint").exists() or (folder / "hparams.json").exists():
        return "gpt-2-simple"
    raise CheckpointError(
        f"{folder} holds no model: a gpt-2-simple run has the files checkpoint and hparams.json, "
        "a Hugging Face folder has config.json"
    )


def files(folder: Path) -> list[Path]:
    """List the files that `read` takes its content from. Raises CheckpointError."""
    if kind(folder) == "hugging-face":
        return [folder / "config.json", folder / "vocab.json", folder / "merges.txt", *_shards(folder)]
    prefix = _latest(folder)
    data = sorted(folder.glob(f"{prefix.name}.data-*-of-*"))
    return [folder / "hparams.json", folder / "encoder.json", folder / "vocab.bpe", Path(f"{prefix}.index"), *data]


def shapes(hparams: HParams) -> Shapes:
    """Name every weight of a GPT-2, and give its shape."""
    width = hparams.n_embd
    named: Shapes = {"wte": (hparams.n_vocab, width), "wpe": (hparams.n_ctx, width)}
    norms, products = ["ln_f"], {}
    for layer in (f"h{number}" for number in range(hparams.n_layer)):
        norms += [f"{layer}/ln_1", f"{layer}/ln_2"]
        products[f"{layer}/attn/c_attn"] = (width, 3 * width)
        products[f"{layer}/attn/c_proj"] = (width, width)
        products[f"{layer}/mlp/c_fc"] = (width, 4 * width)
        products[f"{layer}/mlp/c_proj"] = (4 * width, width)
    for norm in norms:
        named |= {f"{norm}/g": (width,), f"{norm}/b": (width,)}
    for product, shape in products.items():
        named |= {f"{product}/w": shape, f"{product}/b": shape[1:]}
    return named


def checked_hparams(values: Mapping[str, object], where: object) -> HParams:
    """Check the five sizes, which `where` gave. Raises CheckpointError."""
    sizes: dict[str, int] = {}
    for name in HParams.__dataclass_fields__:
        value = values.get(name)
        if type(value) is not int or value < 1:
            raise CheckpointError(f"{where}: {name} is {value!r} instead of a whole number from 1 on")
        sizes[name] = value
    if sizes["n_embd"] % sizes["n_head"]:
        raise CheckpointError(f"{where}: n_embd {sizes['n_embd']} cannot be shared by {sizes['n_head']} heads")
    return HParams(**sizes)


def training_library(name: str) -> ModuleType:
    """Import a library that serving does without. Raises CheckpointError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CheckpointError(
            f"Importing a model needs {name}, which is not installed. "
            "Install it: `pip install 'millzbot[training]'`, or `make setup` in a checkout"
        ) from error


def _read_gpt_2_simple(folder: Path) -> Checkpoint:
    prefix = _latest(folder)
    hparams = checked_hparams(_read_object(folder / "hparams.json"), folder / "hparams.json")
    vocabulary, merges = _read_vocabulary(folder / "encoder.json", folder / "vocab.bpe", hparams)
    step = re.search(r"-(\d+)$", prefix.name)
    return Checkpoint(
        hparams=hparams,
        weights=_tensorflow_weights(prefix, shapes(hparams)),
        vocabulary=vocabulary,
        merges=merges,
        source=Source("gpt-2-simple", folder.resolve().name, int(step[1]) if step else None),
    )


def _latest(folder: Path) -> Path:
    """Follow the file `checkpoint`, TensorFlow's note of the newest save, to the prefix of that save's files."""
    note = folder / "checkpoint"
    found = re.search(r'^model_checkpoint_path: *"([^"]+)"', _read_text(note), re.MULTILINE)
    if not found:
        raise CheckpointError(f'{note} has no line such as: model_checkpoint_path: "model-1000"')
    # Where the run's folder was given as a whole path, TensorFlow has noted that; the run may have moved since.
    prefix = folder / found[1].rsplit("/", 1)[-1]
    if not Path(f"{prefix}.index").is_file():
        raise CheckpointError(f"{prefix}.index is missing, and {note} points to it")
    return prefix


def _tensorflow_weights(prefix: Path, wanted: Shapes) -> Weights:
    """Read a save's variables; its graph (.meta) is code of a kind, and stays closed."""
    tensorflow = training_library("tensorflow")
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        stored = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
        # A matrix has a first axis of 1 there, as a convolution's: (1, in, out).
        expected = {f"model/{name}": (1, *shape) if name.endswith("/w") else shape for name, shape in wanted.items()}
        _check_shapes(prefix, expected, {name: shape for name, shape in stored.items() if name.startswith("model/")})
        return _loaded(prefix, wanted, lambda name: reader.get_tensor(f"model/{name}"))
    except (tensorflow.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{prefix} cannot be read: {error}") from error


def _read_hugging_face(folder: Path) -> Checkpoint:
    hparams = _hugging_face_hparams(folder / "config.json")
    vocabulary, merges = _read_vocabulary(folder / "vocab.json", folder / "merges.txt", hparams)
    return Checkpoint(
        hparams=hparams,
        weights=_safetensors_weights(folder, shapes(hparams)),
        vocabulary=vocabulary,
        merges=merges,
        source=Source("hugging-face", folder.resolve().name, step=None),
    )


def _hugging_face_hparams(config: Path) -> HParams:
    values = _read_object(config)
    names = {"n_vocab": values.get("vocab_size"), "n_ctx": values.get("n_positions")}
    hparams = checked_hparams({**values, **names}, config)
    # The graph knows one arithmetic, GPT-2's: a folder that says otherwise would be served wrongly.
    known: dict[str, tuple[object, ...]] = {
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", None),
        "layer_norm_epsilon": (1e-5, None),
        "n_inner": (4 * hparams.n_embd, None),
        "scale_attn_weights": (True, None),
        "scale_attn_by_inverse_layer_idx": (False, None),
    }
    for name, served in known.items():
        if values.get(name) not in served:
            raise CheckpointError(f"{config}: {name} is {values.get(name)!r}; only {served[0]!r} can be served")
    return hparams


def _safetensors_weights(folder: Path, wanted: Shapes) -> Weights:
    stored = _safetensors(folder)
    names = {name: _hugging_face_name(name) for name in wanted}
    expected = {names[name]: shape for name, shape in wanted.items()}
    _check_shapes(folder, expected, {name: tuple(part.get_shape()) for name, part in stored.items()})
    return _loaded(folder, wanted, lambda name: stored[names[name]][:])


def _safetensors(folder: Path) -> dict[str, Any]:
    """Open the folder's tensors by name, without the prefix that some models have, and without what is no weight."""
    library = training_library("safetensors")
    stored: dict[str, Any] = {}
    for shard in _shards(folder):
        try:
            opened = library.safe_open(shard, framework="np")
            stored |= {name.removeprefix("transformer."): opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, library.SafetensorError) as error:
            raise CheckpointError(f"{shard} cannot be read: {error}") from error
    for name, part in list(stored.items()):
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            del stored[name]  # the causal mask, which stood beside the weights once
        elif part.get_dtype() not in ("F64", "F32", "F16"):  # numpy knows no other
            raise CheckpointError(f"{folder}: {name} is in {part.get_dtype()}: save it in float32 or float16")
    head = stored.pop("lm_head.weight", None)
    if head is not None and "wte.weight" in stored and not np.array_equal(head[:], stored["wte.weight"][:]):
        raise CheckpointError(f"{folder}: lm_head.weight differs from wte.weight: GPT-2 has one matrix for both")
    return stored


def _shards(folder: Path) -> list[Path]:
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.exists() or not index.exists():
        return [whole]
    shards = _read_object(index).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) else set()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise CheckpointError(f"{index}: weight_map does not name files of this folder")
    return [folder / name for name in sorted(names)]


def _hugging_face_name(name: str) -> str:
    """`h0/attn/c_attn/w` is `h.0.attn.c_attn.weight` there."""
    *path, last = re.sub(r"^h(\d+)/", r"h/\1/", name).split("/")
    return ".".join([*path, {"b": "bias", "g": "weight", "w": "weight"}.get(last, f"{last}.weight")])


def _check_shapes(where: Path, expected: Shapes, stored: Shapes) -> None:
    """Compare what is stored with what hparams ask for, in the file's own names."""
    for name, shape in expected.items():
        if name not in stored:
            raise CheckpointError(f"{where}: {name} is missing")
        if stored[name] != shape:
            raise CheckpointError(f"{where}: {name} has the shape {stored[name]} instead of {shape}")
    if unknown := sorted(stored.keys() - expected.keys()):
        raise CheckpointError(f"{where}: {unknown[0]} belongs to no GPT-2 of {len(expected)} tensors")


def _loaded(where: Path, wanted: Shapes, load: Callable[[str], Any]) -> Weights:
    weights: Weights = {}
    for name, shape in wanted.items():
        weights[name] = np.ascontiguousarray(load(name), dtype=np.float32).reshape(shape)
        if not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{where}: {name} has values that are no numbers: the training went wrong")
    return weights


def _read_vocabulary(vocabulary_file: Path, merges_file: Path, hparams: HParams) -> Vocabulary:
    where = f"{vocabulary_file}"
    try:
        vocabulary = read_vocabulary(_read_text(vocabulary_file))
        where = f"{merges_file}"
        merges = read_merges(_read_text(merges_file))
        where = f"{vocabulary_file}, with {merges_file.name}"
        Tokenizer(vocabulary, merges)
    except VocabularyError as error:
        raise CheckpointError(f"{where}: {error}") from error
    if len(vocabulary) != hparams.n_vocab:
        raise CheckpointError(f"{vocabulary_file} has {len(vocabulary)} entries; the model has {hparams.n_vocab}")
    return vocabulary, merges


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(file))
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} is not a JSON object")
    return value


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error

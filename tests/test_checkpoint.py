"""Checkpoints: read as gpt-2-simple and Hugging Face write them, and refused with the file and the fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from model import artifact, checkpoint
from model.checkpoint import Checkpoint, CheckpointError, Source, shapes
from tests.checkpoints import (
    STEPS,
    TINY,
    TrainedRun,
    original_encoder,
    python,
    tiny_checkpoint,
    trained_run,
    write_hugging_face,
)

SAVED = f"model-{STEPS}"
DATA = f"{SAVED}.data-00000-of-00001"


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest) -> TrainedRun:
    return trained_run(request.config.cache.mkdir("trained"))


@pytest.fixture(scope="session")
def read_run(trained: TrainedRun) -> Checkpoint:
    return checkpoint.read(trained.folder)


@pytest.fixture
def run(trained: TrainedRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run1"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hugging_face(tmp_path / "tiny", tiny_checkpoint())


def edit_json(file: Path, **values: object) -> None:
    words = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in {**words, **values}.items() if value is not None}))


def edit_tensors(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def same(ours: Checkpoint, theirs: Checkpoint) -> bool:
    return ours.weights.keys() == theirs.weights.keys() and all(
        np.array_equal(ours.weights[name], theirs.weights[name]) for name in ours.weights
    )


def test_a_run_is_read_as_gpt_2_simple_wrote_it(trained: TrainedRun, read_run: Checkpoint) -> None:
    assert read_run.hparams == TINY
    assert read_run.source == Source("gpt-2-simple", "run1", step=STEPS)
    assert {name: weight.shape for name, weight in read_run.weights.items()} == shapes(TINY)
    assert {weight.dtype for weight in read_run.weights.values()} == {np.dtype(np.float32)}
    original = original_encoder(trained.folder)
    assert read_run.vocabulary == original.encoder
    assert list(read_run.merges) == list(original.bpe_ranks)


def test_a_hugging_face_folder_of_the_same_weights_is_the_same_model(read_run: Checkpoint, tmp_path: Path) -> None:
    for prefix in ("transformer.", ""):
        written = checkpoint.read(write_hugging_face(tmp_path / f"hf{prefix}", read_run, prefix=prefix))
        assert same(written, read_run)
        assert (written.hparams, written.merges) == (read_run.hparams, read_run.merges)
        assert written.vocabulary == read_run.vocabulary
        assert written.source == Source("hugging-face", f"hf{prefix}", step=None)


def test_shards_are_read_together(folder: Path) -> None:
    whole = checkpoint.read(folder)
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    places = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(names)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in names if places[name] == file}, folder / file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert same(checkpoint.read(folder), whole)
    assert len(checkpoint.files(folder)) == 5
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-1\.safetensors cannot be read"):
        checkpoint.read(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model-0.safetensors"}}))
    with pytest.raises(CheckpointError, match="does not name files of this folder"):
        checkpoint.read(folder)


def test_half_precision_masks_and_a_tied_head_are_read(folder: Path) -> None:
    def change(tensors: dict[str, Any]) -> None:
        for name, tensor in tensors.items():
            tensors[name] = tensor.astype(np.float16)
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()
        for layer in range(TINY.n_layer):
            tensors[f"transformer.h.{layer}.attn.bias"] = np.ones((1, 1, 4, 4), np.uint8)
            tensors[f"transformer.h.{layer}.attn.masked_bias"] = np.array([-1e4], np.float32)

    edit_tensors(folder, change)
    read = checkpoint.read(folder)
    assert read.weights.keys() == shapes(TINY).keys()
    assert read.weights["wte"].dtype == np.float32
    assert np.array_equal(read.weights["wte"], tiny_checkpoint().weights["wte"].astype(np.float16))


def test_a_run_that_was_given_by_its_whole_path_is_read_where_it_is_and_where_it_moved(
    run: Path, tmp_path: Path
) -> None:
    (run / "checkpoint").write_text(f'model_checkpoint_path: "{run}/{SAVED}"\n')
    here = artifact.source_digest(run)
    assert artifact.source_digest(run.rename(tmp_path / "moved")) == here


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("checkpoint", None, "checkpoint is missing"),
        ("checkpoint", b"", "no line such as"),
        ("checkpoint", b"\xff\xfe", "checkpoint cannot be read"),
        ("checkpoint", b'model_checkpoint_path: "model-7"\n', r"model-7\.index is missing"),
        ("checkpoint", b'model_checkpoint_path: "../run2/model-7"\n', r"run1/model-7\.index is missing"),
        ("checkpoint", b'model_checkpoint_path: ".."\n', "is missing"),
        ("hparams.json", None, r"hparams\.json is missing"),
        ("hparams.json", b"{", r"hparams\.json is not JSON"),
        ("hparams.json", b"[]", r"hparams\.json is not a JSON object"),
        ("encoder.json", None, r"encoder\.json is missing"),
        ("encoder.json", b"{}", r"encoder\.json, with vocab\.bpe: no symbol"),
        ("encoder.json", b"[", r"encoder\.json: no JSON"),
        ("vocab.bpe", None, r"vocab\.bpe is missing"),
        ("vocab.bpe", b"#\nx y z\n", r"vocab\.bpe: line 2 has 3"),
        ("vocab.bpe", "#\n日 語\n".encode(), "makes a symbol that it does not have"),
        (f"{SAVED}.index", None, rf"{SAVED}\.index is missing"),
        (f"{SAVED}.index", b"", rf"{SAVED} cannot be read"),
        (f"{SAVED}.index", b"no table" * 100, rf"{SAVED} cannot be read"),
        (DATA, None, rf"{SAVED} cannot be read"),
        (DATA, b"", rf"{SAVED} cannot be read"),
        (DATA, b"short" * 100, rf"{SAVED} cannot be read"),
    ],
)
def test_a_faulty_file_of_a_run_is_named(run: Path, name: str, content: bytes | None, fault: str) -> None:
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=fault):
        checkpoint.read(run)


def test_a_flipped_bit_in_the_weights_is_found(run: Path) -> None:
    content = bytearray((run / DATA).read_bytes())
    content[len(content) // 2] ^= 1
    (run / DATA).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{SAVED} cannot be read.*[Cc]hecksum"):
        checkpoint.read(run)


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ({"n_vocab": 401}, r"encoder\.json has 400 entries; the model has 401"),
        ({"n_ctx": 512}, r"model/wpe has the shape \(1024, 64\) instead of \(512, 64\)"),
        ({"n_embd": 128}, "model/wte has the shape"),
        ({"n_layer": 3}, "model/h2/.* is missing"),
        ({"n_layer": 1}, "model/h1/.* belongs to no GPT-2"),
        ({"n_head": 3}, "cannot be shared by 3 heads"),
        ({"n_head": 0}, "n_head is 0"),
        ({"n_head": "2"}, "n_head is '2'"),
        ({"n_head": True}, "n_head is True"),
        ({"n_head": None}, "n_head is None"),
    ],
)
def test_sizes_that_are_not_those_of_the_run_are_refused(run: Path, sizes: dict[str, object], fault: str) -> None:
    edit_json(run / "hparams.json", **sizes)
    with pytest.raises(CheckpointError, match=fault):
        checkpoint.read(run)


def test_a_vocabulary_of_another_size_is_refused(run: Path) -> None:
    vocabulary = json.loads((run / "encoder.json").read_text())
    vocabulary.pop("<|endoftext|>")
    (run / "encoder.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointError, match=r"encoder\.json has 399 entries; the model has 400"):
        checkpoint.read(run)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"model_type": "gpt_neo"}, "model_type is 'gpt_neo'; only 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon"),
        ({"n_inner": 100}, "n_inner is 100; only 256"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"vocab_size": None}, r"config\.json: n_vocab is None"),
        ({"n_positions": 0}, r"config\.json: n_ctx is 0"),
        ({"n_layer": 3}, r"h\.2\..* is missing"),
    ],
)
def test_a_config_that_cannot_be_served_is_refused(folder: Path, values: dict[str, object], fault: str) -> None:
    edit_json(folder / "config.json", **values)
    with pytest.raises(CheckpointError, match=fault):
        checkpoint.read(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda tensors: tensors.pop("transformer.ln_f.bias"), r"ln_f\.bias is missing"),
        (lambda tensors: tensors.update(extra=np.zeros(3, np.float32)), "extra belongs to no GPT-2"),
        (lambda tensors: tensors.update({"transformer.wpe.weight": np.zeros((4, 64), np.float32)}), r"\(4, 64\)"),
        (lambda tensors: tensors.update({"lm_head.weight": np.zeros((400, 64), np.float32)}), "differs from wte"),
        (lambda tensors: tensors.update({"transformer.wpe.weight": np.zeros((1024, 64), np.int8)}), "is in I8"),
        (lambda tensors: tensors["transformer.wpe.weight"].fill(np.nan), "wpe has values that are no numbers"),
    ],
)
def test_an_odd_tensor_is_named(folder: Path, change: Callable[[dict[str, Any]], object], fault: str) -> None:
    edit_tensors(folder, change)
    with pytest.raises(CheckpointError, match=fault):
        checkpoint.read(folder)


def test_bfloat16_is_refused_by_name(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content.replace(b'"dtype":"F32"', b'"dtype":"I32"', 1))
    with pytest.raises(CheckpointError, match="is in I32: save it in float32"):
        checkpoint.read(folder)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_shortened_tensor_file_is_refused(folder: Path, length: int) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:length])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        checkpoint.read(folder)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "model.safetensors"])
def test_a_missing_file_of_a_hugging_face_folder_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoint.read(folder)


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match="holds no model"):
            checkpoint.read(nothing)


def test_a_run_without_tensorflow_says_how_to_get_it(run: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["tensorflow"] = None
from model import artifact, checkpoint
print(artifact.source_digest(Path(sys.argv[1])))
try:
    checkpoint.read(Path(sys.argv[1]))
except checkpoint.CheckpointError as error:
    print(error)
"""
    done = python(code, run)
    digest, fault = done.stdout.splitlines()
    assert digest == artifact.source_digest(run)
    assert "needs tensorflow" in fault
    assert "pip install 'millzbot[training]'" in fault
    assert "make setup" in fault

"""The artifact: made whole or not at all, and served only as it was made."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from model import artifact
from model.artifact import FORMAT, Artifact, ArtifactError
from model.checkpoint import CheckpointError, HParams, Source
from model.engine import Engine, Limits
from model.graph import Bits
from tests.checkpoints import TINY, python, tiny_checkpoint, write_hugging_face

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FILES = ["encoder.json", "graph.onnx", "matrices.bin", "vocab.bpe", "wpe.bin", "wte.bin", "wte_scales.bin"]
NO_GRAPH = hashlib.sha256(b"no graph").hexdigest()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hugging_face(tmp_path_factory.mktemp("source") / "tiny", tiny_checkpoint())


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("made") / "artifact").folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def build(
    source: Path,
    out: Path,
    *,
    bits: Bits = 8,
    persona: str = "Nobody",
    voice: str = "invented",
    made_at: datetime = NOON,
) -> Artifact:
    return artifact.build(source, out, bits=bits, persona=persona, voice=voice, made_at=made_at)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    words = json.loads((folder / "manifest.json").read_text())
    change(words)
    (folder / "manifest.json").write_text(json.dumps(words))


def test_an_artifact_says_what_it_is(made: Path, source: Path) -> None:
    loaded = artifact.load(made)
    manifest = loaded.manifest
    assert (manifest.bits, manifest.hparams) == (8, TINY)
    assert (manifest.persona, manifest.voice, manifest.made_at) == ("Nobody", "invented", NOON)
    assert manifest.source == Source("hugging-face", "tiny", step=None)
    assert manifest.source_digest == artifact.source_digest(source)
    assert manifest.tools.keys() == {"numpy", "onnx", "safetensors"}
    assert sorted(manifest.files) == FILES
    assert loaded.digest == hashlib.sha256((made / "manifest.json").read_bytes()).hexdigest()
    assert loaded.tokenizer().decode(loaded.tokenizer().encode("a text 🙂")) == "a text 🙂"
    assert artifact.is_artifact(made)
    assert not artifact.is_artifact(source)


def test_the_token_embeddings_stand_on_the_disk_once(made: Path) -> None:
    sizes = {name: size for name, (size, _) in artifact.load(made).manifest.files.items()}
    assert sizes["wte.bin"] == TINY.n_vocab * TINY.n_embd
    layers = TINY.n_layer * 12 * TINY.n_embd**2
    assert sizes["matrices.bin"] < layers * (1 + 4 / 64) + 4096 * TINY.n_layer * 8  # bytes, scales, whole pages
    assert sizes["graph.onnx"] < 20_000


def test_the_same_source_gives_the_same_artifact(made: Path, source: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(source, tmp_path / "tiny")
    later = NOON.astimezone(timezone(timedelta(hours=5)))
    assert build(elsewhere, tmp_path / "again", made_at=later).digest == artifact.load(made).digest


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_a_changed_file_is_refused(copy: Path, name: str, place: int) -> None:
    content = bytearray((copy / name).read_bytes())
    content[place] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} has changed.*millzbot model import"):
        artifact.load(copy)


def test_a_shortened_a_missing_and_an_extra_file_are_refused(copy: Path) -> None:
    content = (copy / "wpe.bin").read_bytes()
    (copy / "wpe.bin").write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match=r"wpe\.bin has changed"):
        artifact.load(copy)
    (copy / "wpe.bin").unlink()
    with pytest.raises(ArtifactError, match=r"wpe\.bin is missing"):
        artifact.load(copy)
    (copy / "wpe.bin").write_bytes(content)
    (copy / "notes.txt").touch()
    with pytest.raises(ArtifactError, match=r"notes\.txt is not in the manifest"):
        artifact.load(copy)
    (copy / "notes.txt").unlink()
    artifact.load(copy)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda words: words.update(format=FORMAT + 1), f"format {FORMAT + 1}, not {FORMAT}"),
        (lambda words: words.pop("hparams"), "hparams"),
        (lambda words: words["hparams"].update(n_head=0), "n_head"),
        (lambda words: words.update(bits=5), "4, 8 or 32"),
        (lambda words: words.update(persona=7), "no manifest"),
        (lambda words: words.update(voice="his own"), "his own"),
        (lambda words: words.update(made_at="yesterday"), "yesterday"),
        (lambda words: words.update(files=[]), "no manifest"),
        (lambda words: words["files"].update({"../secret": {"bytes": 1, "sha256": ""}}), "secret is missing"),
    ],
)
def test_an_odd_manifest_is_refused(copy: Path, change: Callable[[dict[str, Any]], object], fault: str) -> None:
    edit(copy, change)
    with pytest.raises(ArtifactError, match=fault):
        artifact.load(copy)


def test_a_graph_that_the_runtime_does_not_know_is_refused(copy: Path) -> None:
    (copy / "graph.onnx").write_bytes(b"no graph")
    edit(copy, lambda words: words["files"].update({"graph.onnx": {"bytes": 8, "sha256": NO_GRAPH}}))
    with pytest.raises(ArtifactError, match=r"graph\.onnx cannot be loaded"):
        Engine(artifact.load(copy), Limits(threads=1))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 2}'])
def test_a_broken_manifest_is_refused(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json is no manifest"):
        artifact.load(copy)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match=r"manifest\.json cannot be read"):
            artifact.load(folder)


def test_what_exists_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ArtifactError, match="exists already"):
        build(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failed_import_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot be written"):
        build(source, tmp_path / "file" / "out")
    odd = write_hugging_face(tmp_path / "odd", tiny_checkpoint(HParams(400, 64, 24, 2, 1)))
    with pytest.raises(CheckpointError, match="no multiple of 8"):
        build(odd, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "odd"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"persona": " "}, "persona"),
        ({"voice": "somebody"}, "somebody"),
        ({"voice": "ab" * 31}, "SHA-256"),
        ({"bits": 5}, "8 or 32 bits"),
    ],
)
def test_words_that_no_manifest_has_are_refused(source: Path, tmp_path: Path, words: Any, fault: str) -> None:
    with pytest.raises(ArtifactError, match=fault):
        build(source, tmp_path / "out", **words)


def test_a_consent_records_digest_is_a_voice(source: Path, tmp_path: Path) -> None:
    assert build(source, tmp_path / "out", voice="ab" * 32).manifest.voice == "ab" * 32


def test_a_sources_digest_is_that_of_its_contents(source: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(source, tmp_path / "moved")
    before = artifact.source_digest(source)
    (moved / "notes.txt").write_text("not read by an import")
    assert artifact.source_digest(moved) == before
    for name in ("config.json", "vocab.json", "merges.txt", "model.safetensors"):
        content = (moved / name).read_bytes()
        (moved / name).write_bytes(content + b" ")
        assert artifact.source_digest(moved) != before
        (moved / name).write_bytes(content)
    (moved / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        artifact.source_digest(moved)


def test_serving_loads_no_library_of_the_training_extra(made: Path) -> None:
    code = """
import sys
from pathlib import Path
from model import artifact
from model.engine import Engine, Limits
from model.requests import Request
engine = Engine(artifact.load(Path(sys.argv[1])), Limits(threads=1))
engine.submit(Request("a", 3, 0.5, 0, 0.9, 1, (), 60)).result()
engine.close(10)
print(sorted({"onnx", "tensorflow", "gpt_2_simple", "safetensors", "tokenizers"} & sys.modules.keys()))
"""
    done = python(code, made)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("library", ["onnx", "safetensors"])
def test_an_import_without_the_training_extra_says_how_to_get_it(library: str, source: Path, tmp_path: Path) -> None:
    code = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.modules[sys.argv[1]] = None
from model import artifact
try:
    artifact.build(Path(sys.argv[2]), Path(sys.argv[3]), persona="x", voice="unknown", made_at=datetime.now(UTC))
except artifact.CheckpointError as error:
    print(error)
"""
    done = python(code, library, source, tmp_path / "out")
    assert f"needs {library}" in done.stdout
    assert "pip install 'millzbot[training]'" in done.stdout
    assert "make setup" in done.stdout
    assert list(tmp_path.iterdir()) == []

"""The artifact: the folder that is served, with a manifest that says what it is and fixes each of its files."""

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from model import checkpoint, graph
from model.checkpoint import Checkpoint, CheckpointError, HParams, Source
from model.tokenizer import Tokenizer, VocabularyError, read_merges, read_vocabulary

MANIFEST_FILE: Final = "manifest.json"
VOCABULARY_FILE: Final = "encoder.json"
MERGES_FILE: Final = "vocab.bpe"
WPE_FILE: Final = "wpe.bin"
FORMAT: Final = 2
IMPORT_AGAIN: Final = "Import the model again: millzbot model import"


class ArtifactError(Exception):
    """An artifact cannot be made or must not be served; the text names the file and says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What an artifact says of itself."""

    bits: graph.Bits
    hparams: HParams
    persona: str
    voice: str  # the SHA-256 of a consent record in hex, "invented" or "unknown"
    made_at: datetime  # UTC
    source: Source
    source_digest: str
    tools: dict[str, str]  # name and version of what had a part in the files' bytes
    files: dict[str, tuple[int, str]]  # size in bytes and SHA-256


@dataclass(frozen=True)
class Artifact:
    """A verified artifact; `digest` is the SHA-256 of its manifest and so stands for all of it."""

    folder: Path
    digest: str
    manifest: Manifest

    def tokenizer(self) -> Tokenizer:
        """Read the vocabulary. Raises ArtifactError."""
        try:
            vocabulary = read_vocabulary((self.folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
            return Tokenizer(vocabulary, read_merges((self.folder / MERGES_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, VocabularyError) as error:
            raise ArtifactError(f"{self.folder}: the vocabulary cannot be read: {error}. {IMPORT_AGAIN}") from error


def build(source: Path, out: Path, *, bits: graph.Bits = 8, persona: str, voice: str, made_at: datetime) -> Artifact:
    """Import a checkpoint's folder: write the artifact `out`, whole or not at all.

    `voice` is the SHA-256 of a consent record in hex, "invented" or "unknown"; `made_at` has a time zone.

    Raises:
        CheckpointError: the source cannot be read, or a library of the training extra is missing.
        ArtifactError: `out` exists or cannot be written, or an argument cannot stand in a manifest.
    """
    _check_words(bits, persona, voice)
    if out.exists():
        raise ArtifactError(f"{out} exists already: remove it, or choose another folder")
    digest = source_digest(source)
    read = checkpoint.read(source)
    words = {"persona": persona, "voice": voice, "made_at": made_at.astimezone(UTC).isoformat(timespec="seconds")}
    try:
        _write(read, out, {"bits": bits, **words, "source": {**asdict(read.source), "sha256": digest}})
    except OSError as error:
        raise ArtifactError(f"{out} cannot be written: {error}") from error
    return load(out)


def load(folder: Path) -> Artifact:
    """Read a folder's manifest and verify every file against it.

    Raises:
        ArtifactError: no manifest, one that this version does not know, or a changed, missing or extra file.
    """
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        manifest = _read_manifest(content, folder / MANIFEST_FILE)
        _verify(folder, manifest.files)
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}. {IMPORT_AGAIN}") from error
    return Artifact(folder, hashlib.sha256(content).hexdigest(), manifest)


def is_artifact(folder: Path) -> bool:
    """Say whether a folder looks like an artifact; `load` says whether it is one."""
    return (folder / MANIFEST_FILE).is_file()


def source_digest(folder: Path) -> str:
    """Give one SHA-256 for all that an import takes from a checkpoint's folder. Raises CheckpointError."""
    try:
        lines = [f"{file.name} {_sha256(file)}\n" for file in checkpoint.files(folder)]
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}") from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def kept_name(source: Path) -> str:
    """Name a folder for the artifact of a checkpoint, by all that decides it. Raises CheckpointError."""
    return f"{source_digest(source)[:16]}-{FORMAT}"


def _check_words(bits: int, persona: str, voice: str) -> None:
    if bits not in get_args(graph.Bits):
        raise ArtifactError(f"An artifact has 4, 8 or 32 bits, not {bits}")
    if not persona.strip():
        raise ArtifactError("An artifact needs the name of its persona")
    if not re.fullmatch("[0-9a-f]{64}|invented|unknown", voice):
        raise ArtifactError(f"A voice is a consent record's SHA-256, invented or unknown; not {voice!r}")


def _write(read: Checkpoint, out: Path, words: dict[str, Any]) -> None:
    """Write into a hidden folder beside `out`, and rename it when all of it is on the disk."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as hidden:
        folder = Path(hidden) / "artifact"
        folder.mkdir()
        graph.write(read, folder, bits=words["bits"])
        (folder / WPE_FILE).write_bytes(read.weights["wpe"].tobytes())
        (folder / VOCABULARY_FILE).write_text(json.dumps(read.vocabulary), encoding="utf-8")
        merges = ["#version: 0.2", *(" ".join(pair) for pair in read.merges), ""]
        (folder / MERGES_FILE).write_text("\n".join(merges), encoding="utf-8")
        _write_manifest(folder, {**words, "hparams": asdict(read.hparams), "tools": _tools(read.source)})
        for path in (*folder.iterdir(), folder):
            _sync(path)
        folder.rename(out)
    _sync(out.parent)


def _tools(source: Source) -> dict[str, str]:
    reader = "tensorflow" if source.kind == "gpt-2-simple" else "safetensors"
    return {name: checkpoint.training_library(name).__version__ for name in ("numpy", "onnx", reader)}


def _write_manifest(folder: Path, words: dict[str, Any]) -> None:
    files = {file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in sorted(folder.iterdir())}
    content = json.dumps({"format": FORMAT, **words, "files": files}, indent=1)
    (folder / MANIFEST_FILE).write_text(content + "\n", encoding="utf-8")


def _read_manifest(content: bytes, where: Path) -> Manifest:
    try:
        words = json.loads(content)
        if words["format"] != FORMAT:
            raise ArtifactError(f"{where} has the format {words['format']}, not {FORMAT}. {IMPORT_AGAIN}")
        _check_words(words["bits"], words["persona"], words["voice"])
        source = words["source"]
        return Manifest(
            bits=words["bits"],
            hparams=checkpoint.checked_hparams(words["hparams"], where),
            persona=words["persona"],
            voice=words["voice"],
            made_at=datetime.fromisoformat(words["made_at"]),
            source=Source(source["kind"], source["name"], source["step"]),
            source_digest=source["sha256"],
            tools=words["tools"],
            files={name: (file["bytes"], file["sha256"]) for name, file in words["files"].items()},
        )
    except (CheckpointError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{where} is no manifest: {error!r}. {IMPORT_AGAIN}") from error


def _verify(folder: Path, files: dict[str, tuple[int, str]]) -> None:
    there = {file.name for file in folder.iterdir()} - {MANIFEST_FILE}
    if missing := sorted(files.keys() - there):
        raise ArtifactError(f"{folder / missing[0]} is missing. {IMPORT_AGAIN}")
    if extra := sorted(there - files.keys()):
        raise ArtifactError(f"{folder / extra[0]} is not in the manifest. Remove it")
    for name, (size, digest) in files.items():
        file = folder / name
        if file.stat().st_size != size or _sha256(file) != digest:
            raise ArtifactError(f"{file} has changed since it was made. {IMPORT_AGAIN}")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

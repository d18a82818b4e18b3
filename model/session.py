"""The session: an artifact's weights in ONNX Runtime, and a text that is read on its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike, NDArray

from model.artifact import IMPORT_AGAIN, WPE_FILE, Artifact, ArtifactError
from model.graph import GRAPH_FILE, WTE_FILE, WTE_SCALES_FILE, block_size

CAPACITY_STEP: Final = 64  # tokens
FATAL: Final = 4  # the runtime's log level; what goes wrong is raised as well


class Session:
    """An artifact, ready to compute."""

    def __init__(self, artifact: Artifact, *, threads: int, spinning: bool = False) -> None:
        """Load the graph; `threads` counts those of one step, the calling one included. Raises ArtifactError.

        Threads that spin while they wait go on sooner, and take the cores from the event loop meanwhile.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = FATAL
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        graph = artifact.folder / GRAPH_FILE
        self.hparams: Final = artifact.manifest.hparams
        try:
            self.embeddings: Final = _Embeddings(artifact)
            self.graph: Final = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ArtifactError(f"{graph} cannot be loaded: {error}. {IMPORT_AGAIN}") from error


class Row:
    """A text on its own: its tokens so far, as every layer's keys and values, and the logits of any of them."""

    def __init__(self, session: Session, tokens: int) -> None:
        """Begin a text that will have at most so many tokens."""
        self.length = 0  # tokens
        self._session: Final = session
        self._binding: Final = session.graph.io_binding()
        self._bound: Final[dict[str, Any]] = {}  # a binding does not keep its memory alive
        self._seqlens_k: Final = np.zeros(1, np.int32)
        self._total_length: Final = np.zeros((), np.int32)
        self._bind_input("seqlens_k", self._seqlens_k)
        self._bind_input("total_length", self._total_length)
        self._bind_caches(-(-tokens // CAPACITY_STEP) * CAPACITY_STEP)
        self._bind_step(tokens=1, wanted=1)

    def forward(self, ids: Sequence[int], wanted: int = 1) -> NDArray[np.float32]:
        """Add tokens; give the logits (wanted, n_vocab) of what follows each of the last `wanted` of them.

        The next call may overwrite the result: binding memory anew takes longer than to sample from it.
        """
        if (len(ids), wanted) != (self._hidden.shape[1], self._logits.shape[0]):
            self._bind_step(len(ids), wanted)
        self._session.embeddings.look_up(ids, self.length, out=self._hidden[0])
        self.length += len(ids)
        self._seqlens_k[0] = self.length - 1
        self._total_length[...] = self.length
        self._session.graph.run_with_iobinding(self._binding)
        return self._logits

    def _bind_caches(self, capacity: int) -> None:
        """Let each cache be input and output at once, so that a step adds to it and copies nothing."""
        hparams = self._session.hparams
        shape = (1, hparams.n_head, capacity, hparams.n_embd // hparams.n_head)
        for layer in range(hparams.n_layer):
            for name in (f"key_{layer}", f"value_{layer}"):
                cache = np.zeros(shape, np.float32)
                self._bind_input(name, cache)
                self._bind_output(f"{name}_out", cache)

    def _bind_step(self, tokens: int, wanted: int) -> None:
        self._hidden = np.empty((1, tokens, self._session.hparams.n_embd), np.float32)
        self._logits = np.empty((wanted, self._session.hparams.n_vocab), np.float32)
        positions = [(0, token) for token in range(tokens - wanted, tokens)]
        self._bind_input("hidden", self._hidden)
        self._bind_input("positions", np.array(positions, np.int64).reshape(wanted, 2))
        self._bind_input("inverse_temperature", np.ones((wanted, 1), np.float32))
        self._bind_output("logits", self._logits)

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        self._bound[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        self._binding.bind_ortvalue_input(name, self._bound[name])

    def _bind_output(self, name: str, array: NDArray[Any]) -> None:
        self._bound[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        self._binding.bind_ortvalue_output(name, self._bound[name])


class _Embeddings:
    """What goes into the first layer; a token's part is read from the head's own bytes, so that they stand once."""

    def __init__(self, artifact: Artifact) -> None:
        hparams = artifact.manifest.hparams
        self._wpe: Final = _mapped(artifact.folder / WPE_FILE, np.float32, (hparams.n_ctx, hparams.n_embd))
        self._scales: NDArray[np.float32] | None = None
        wte = artifact.folder / WTE_FILE
        if artifact.manifest.bits == 32:
            self._wte = _mapped(wte, np.float32, (hparams.n_vocab, hparams.n_embd))
        else:
            blocks = hparams.n_embd // block_size(hparams.n_embd)
            self._wte = _mapped(wte, np.uint8, (hparams.n_vocab, blocks, block_size(hparams.n_embd)))
            self._scales = _mapped(artifact.folder / WTE_SCALES_FILE, np.float32, (hparams.n_vocab, blocks, 1))

    def look_up(self, ids: Sequence[int], start: int, *, out: NDArray[np.float32]) -> None:
        """Write the embeddings of tokens that stand from position `start` on into `out` (tokens, n_embd)."""
        tokens = self._wte[ids]
        if self._scales is not None:
            tokens = ((tokens - np.float32(128)) * self._scales[ids]).reshape(out.shape)
        np.add(tokens, self._wpe[start : start + len(ids)], out=out)


def _mapped(file: Path, kind: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file instead of reading it: few of its rows are ever looked up."""
    return np.asarray(np.memmap(file, kind, mode="r", shape=shape))

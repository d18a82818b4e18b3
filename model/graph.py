"""The graph: a checkpoint's weights as one ONNX graph with a KV cache, its matrices in blocks of 8 or 4 bits or whole."""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Checkpoint, CheckpointError, HParams, training_library

Bits = Literal[4, 8, 32]
Rounded = Literal[4, 8]

GRAPH_FILE: Final = "graph.onnx"
MATRICES_FILE: Final = "matrices.bin"
WTE_FILE: Final = "wte.bin"
WTE_SCALES_FILE: Final = "wte_scales.bin"

BLOCK_SIZES: Final = (128, 64, 32)  # weights with one scale between them, along a matrix's input
RUNTIME: Final = "com.microsoft"  # the domain of ONNX Runtime's own operators
TOP: Final = 128  # of a trained model's logits these hold nearly all of the mass
PAGE: Final = 4096  # bytes; ONNX Runtime maps the files of matrices, and a map starts at a page


def write(checkpoint: Checkpoint, folder: Path, *, bits: Bits) -> None:
    """Write the graph, and its matrices beside it, into `folder`.

    Inputs, for `rows` sequences that advance together:
    - `hidden` float32 (rows, tokens, n_embd): the tokens, embedded outside of the graph;
    - `seqlens_k` int32 (rows,): how many tokens a row has after this step, minus one;
    - `total_length` int32 (): the most tokens that a row has after this step;
    - `positions` int64 (n, 2): the row and the token of each output that is wanted;
    - `inverse_temperature` float32 (n, 1): one over the temperature at which each output is sampled;
    - `key_N`, `value_N` float32 (rows, n_head, capacity, head size): the KV cache of layer N.
    Outputs: `logits` float32 (n, n_vocab); the TOP highest of them, the highest first and equal ones by id, as
    `top_logits` float32 (n, TOP) and `top_ids` int64 (n, TOP); `log_sum_exp` float32 (n, 1) of a row's logits over its
    temperature, by which any of its probabilities is known exactly without the others; and `key_N_out`, `value_N_out`,
    which may be the caches' own memory.

    Raises:
        CheckpointError: onnx is not installed, or the model's shape is one that the runtime cannot serve.
    """
    hparams = checkpoint.hparams
    if hparams.n_embd // hparams.n_head % 8:
        raise CheckpointError(f"A head of {hparams.n_embd // hparams.n_head} numbers is no multiple of 8")
    parts = _Parts(checkpoint, folder, bits)
    hidden = "hidden"
    for layer in range(hparams.n_layer):
        hidden = _layer(parts, layer, hidden)
    wanted = parts.node("GatherND", [hidden, "positions"], "wanted")
    parts.head(parts.norm(wanted, "ln_f"))
    _choices(parts, hparams)
    (folder / GRAPH_FILE).write_bytes(_model(parts, hparams))


def top(hparams: HParams) -> int:
    """How many of the highest logits the graph gives by itself."""
    return min(TOP, hparams.n_vocab)


def block_size(width: int) -> int:
    """Give the largest block that divides a matrix's input. Raises CheckpointError if none does."""
    for size in BLOCK_SIZES:
        if width % size == 0:
            return size
    raise CheckpointError(f"A width of {width} is no multiple of {BLOCK_SIZES[-1]}: it can be served in 32 bits only")


def quantise(matrix: NDArray[np.float32], bits: Rounded = 8) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round the rows of a matrix (out, in) to 8 or 4 bits, in blocks.

    Gives steps (out, blocks, block size) and scales (out, blocks); a weight is (step - middle) * scale, where the middle
    is 128 or 8.
    """
    rows, width = matrix.shape
    blocks = matrix.reshape(rows, -1, block_size(width))
    middle = 1 << bits - 1
    scales = np.abs(blocks).max(axis=2) / np.float32(middle - 1)
    steps = np.divide(blocks, scales[..., None], out=np.zeros_like(blocks), where=scales[..., None] > 0)
    return (np.rint(steps) + middle).astype(np.uint8), scales


def packed(steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two steps of 4 bits in each byte, the first in its lower half, as MatMulNBits wants them."""
    return np.asarray(steps[..., 0::2] | steps[..., 1::2] << 4, np.uint8)


def _layer(parts: "_Parts", layer: int, x: str) -> str:
    """One transformer block of GPT-2: x + attention(norm(x)), then that + mlp(norm(that))."""
    name = f"h{layer}"
    attended = _attention(parts, layer, parts.linear(parts.norm(x, f"{name}/ln_1"), f"{name}/attn/c_attn"))
    x = parts.node("Add", [x, parts.linear(attended, f"{name}/attn/c_proj")], f"{name}/middle")
    inner = parts.product(parts.norm(x, f"{name}/ln_2"), f"{name}/mlp/c_fc")
    # FastGelu is GPT-2's own approximation by tanh.
    inner = parts.node("FastGelu", [inner, parts.vector(f"{name}/mlp/c_fc/b")], f"{name}/gelu", domain=RUNTIME)
    return parts.node("Add", [x, parts.linear(inner, f"{name}/mlp/c_proj")], f"{name}/end")


def _attention(parts: "_Parts", layer: int, qkv: str) -> str:
    """Causal attention of qkv (rows, tokens, 3 * n_embd), which also adds the tokens to the layer's cache."""
    caches = [f"key_{layer}", f"value_{layer}"]
    return parts.node(
        "GroupQueryAttention",
        [qkv, "", "", *caches, "seqlens_k", "total_length"],
        f"h{layer}/attention",
        *(f"{cache}_out" for cache in caches),
        domain=RUNTIME,
        num_heads=parts.n_head,
        kv_num_heads=parts.n_head,
    )


def _choices(parts: "_Parts", hparams: HParams) -> None:
    """What sampling needs of the logits: sorting all of them in Python would cost as much as the model."""
    most, last_axis = parts.integers("top", [top(hparams)]), parts.integers("last_axis", [-1])
    parts.node("TopK", ["logits", most], "top_logits", "top_ids")
    scaled = parts.node("Mul", ["logits", "inverse_temperature"], "scaled")
    parts.node("ReduceLogSumExp", [scaled, last_axis], "log_sum_exp", keepdims=1)


class _Parts:
    """The graph's nodes and constants, as they are put in; the matrices go straight to their files."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, bits: Bits) -> None:
        self.onnx: Final = training_library("onnx")
        self.weights: Final = checkpoint.weights
        self.n_head: Final = checkpoint.hparams.n_head
        self.folder: Final = folder
        self.bits: Final = bits
        self.nodes: Final[list[Any]] = []
        self.constants: Final[list[Any]] = []

    def node(self, operator: str, inputs: list[str], output: str, *more: str, **attributes: Any) -> str:
        """Put in an operator; give the name of its first output."""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output, *more], name=output, **attributes))
        return output

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation, with GPT-2's epsilon."""
        return self.node(
            "LayerNormalization", [x, self.vector(f"{name}/g"), self.vector(f"{name}/b")], name, epsilon=1e-5
        )

    def linear(self, x: str, name: str) -> str:
        """The matrix `name`/w times x, plus the vector `name`/b."""
        bias = self.vector(f"{name}/b")
        if self.bits == 32:
            return self.node("Add", [self.product(x, name), bias], f"{name}/sum")
        return self._blocks(x, name, self.weights[f"{name}/w"].T, bits=self.bits, bias=bias)

    def product(self, x: str, name: str) -> str:
        """The matrix `name`/w times x."""
        matrix = self.weights[f"{name}/w"]
        if self.bits == 32:
            return self.node("MatMul", [x, self._stored(f"{name}/w", matrix, MATRICES_FILE)], name)
        return self._blocks(x, name, matrix.T, bits=self.bits)

    def head(self, x: str) -> str:
        """The logits of x (n, n_embd): its products with the tokens' embeddings, which have files of their own.

        They keep 8 bits where the rest has 4: they are what goes into the first layer as well.
        """
        wte = self.weights["wte"]
        if self.bits == 32:
            return self.node("Gemm", [x, self._stored("wte", wte, WTE_FILE)], "logits", transB=1)
        return self._blocks(x, "logits", wte, bits=8, files=(WTE_FILE, WTE_SCALES_FILE))

    def vector(self, name: str) -> str:
        """Put in a weight that is small enough to stand in the graph's own file."""
        self.constants.append(self.onnx.numpy_helper.from_array(self.weights[name], name))
        return name

    def integers(self, name: str, values: list[int]) -> str:
        """Put in a few whole numbers."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _blocks(
        self,
        x: str,
        name: str,
        matrix: NDArray[np.float32],
        *,
        bits: Rounded,
        bias: str = "",
        files: tuple[str, str] = (MATRICES_FILE, MATRICES_FILE),
    ) -> str:
        """A matrix (out, in) of rounded blocks times x, plus a bias."""
        steps, scales = quantise(matrix, bits)
        blocks = packed(steps) if bits == 4 else steps
        stored = [self._stored(f"{name}/blocks", blocks, files[0]), self._stored(f"{name}/scales", scales, files[1])]
        return self.node(
            "MatMulNBits",
            [x, *stored, "", "", bias],  # no zero points: the middle is the default; no order of groups
            name,
            domain=RUNTIME,
            N=matrix.shape[0],
            K=matrix.shape[1],
            bits=bits,
            block_size=steps.shape[2],
            accuracy_level=4,  # x is rounded to 8 bits as well: several tens of times faster than without
        )

    def _stored(self, name: str, array: NDArray[Any], file: str) -> str:
        """Put in a constant whose numbers stand in a file beside the graph."""
        with (self.folder / file).open("ab") as out:
            out.write(bytes(-out.tell() % PAGE))
            place = {"location": file, "offset": out.tell(), "length": array.nbytes}
            out.write(np.ascontiguousarray(array).data)
        constant = self.onnx.TensorProto(name=name, dims=array.shape, data_location=self.onnx.TensorProto.EXTERNAL)
        constant.data_type = self.onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        for key, value in place.items():
            constant.external_data.add(key=key, value=str(value))
        self.constants.append(constant)
        return name


def _model(parts: _Parts, hparams: HParams) -> bytes:
    """Serialise the graph with its inputs and outputs; the same parts give the same bytes."""
    helper, kinds = parts.onnx.helper, parts.onnx.TensorProto
    caches = [f"{kind}_{layer}" for layer in range(hparams.n_layer) for kind in ("key", "value")]
    cache = ["rows", hparams.n_head, "capacity", hparams.n_embd // hparams.n_head]
    inputs = {
        "hidden": (kinds.FLOAT, ["rows", "tokens", hparams.n_embd]),
        "seqlens_k": (kinds.INT32, ["rows"]),
        "total_length": (kinds.INT32, []),
        "positions": (kinds.INT64, ["wanted", 2]),
        "inverse_temperature": (kinds.FLOAT, ["wanted", 1]),
    } | dict.fromkeys(caches, (kinds.FLOAT, cache))
    outputs = {
        "logits": (kinds.FLOAT, ["wanted", hparams.n_vocab]),
        "top_logits": (kinds.FLOAT, ["wanted", top(hparams)]),
        "top_ids": (kinds.INT64, ["wanted", top(hparams)]),
        "log_sum_exp": (kinds.FLOAT, ["wanted", 1]),
    }
    outputs |= {f"{name}_out": (kinds.FLOAT, cache) for name in caches}
    graph = helper.make_graph(
        parts.nodes,
        "gpt2",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        parts.constants,
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(RUNTIME, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="millzbot")
    return bytes(model.SerializeToString(deterministic=True))

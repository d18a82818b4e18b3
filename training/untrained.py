"""An untrained GPT-2 in the folder form from which gpt_2_simple.finetune starts.

The weights are random, but attention starts out looking a few tokens back. With GPT-2's own start it looks
everywhere at once, and among the 1,024 tokens of finetune's windows a small model spends most of its training
on finding out that the near ones matter: after 180 steps of the demo recipe the loss was 3.5 instead of 1.8.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.vocabulary import Vocabulary, write_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

TOKEN_DEVIATION, POSITION_AMPLITUDE, WEIGHT_DEVIATION = 0.05, 0.1, 0.02
NEAREST_SCORE = 8.0  # of the token looked at, before softmax; that of a far one is about 0


@dataclass(frozen=True)
class Shape:
    """GPT-2's hyper-parameters, by their names in hparams.json; a head's width, n_embd / n_head, must be even.

    n_ctx is not to be lowered: gpt_2_simple.finetune draws windows of 1,024 tokens, whatever it says.
    """

    n_vocab: int
    n_embd: int = 256
    n_head: int = 4
    n_layer: int = 4
    n_ctx: int = 1024


def write_untrained(folder: Path, vocabulary: Vocabulary, shape: Shape, *, seed: int) -> int:
    """Write hparams.json, the vocabulary and a TensorFlow checkpoint of random weights; return how many weights."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds, and changes the process that imports gpt_2_simple with it
    from gpt_2_simple.src import model  # noqa: PLC0415 - the same

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hparams.json").write_text(json.dumps(asdict(shape)), encoding="ascii")
    write_vocabulary(vocabulary, folder)
    rng = np.random.default_rng(seed)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model.model(hparams=model.HParams(**asdict(shape)), X=tf.compat.v1.placeholder(tf.int32, [1, None]))
        variables = tf.compat.v1.trainable_variables()
        for variable in variables:
            variable.load(_start(variable.op.name, variable.shape.as_list(), shape, rng), session)
        tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"), write_meta_graph=False)
    return sum(math.prod(variable.shape.as_list()) for variable in variables)


def _start(name: str, size: list[int], shape: Shape, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The first values of one variable. The last head's width of the residual stream is kept for positions."""
    head = shape.n_embd // shape.n_head
    if name.endswith(("/g", "/b")):
        weights = np.full(size, 1.0 if name.endswith("/g") else 0.0)
    elif name == "model/wpe":
        weights = _positions(shape)
    elif name == "model/wte":
        weights = rng.normal(0, TOKEN_DEVIATION, size)
        weights[:, -head:] /= 5
    else:
        weights = rng.normal(0, WEIGHT_DEVIATION, size)
    if name.endswith("/c_proj/w"):
        weights /= math.sqrt(2 * shape.n_layer)
        weights[..., -head:] = 0
    if name.endswith("/c_attn/w"):
        _look_back(weights[0], int(name.split("/")[1].removeprefix("h")), shape)
    return weights.astype(np.float32)


def _positions(shape: Shape) -> npt.NDArray[np.float64]:
    """Sines and cosines of the position, as in "Attention Is All You Need" 3.5, in the last head's width."""
    angles = np.arange(shape.n_ctx)[:, None] * _frequencies(shape)
    waves = POSITION_AMPLITUDE * np.hstack([np.sin(angles), np.cos(angles)])
    return np.pad(waves, [(0, 0), (shape.n_embd - waves.shape[1], 0)])


def _look_back(weights: npt.NDArray[np.float64], layer: int, shape: Shape) -> None:
    """Add to c_attn's (n_embd, 3 n_embd) weights what lets head h of layer l look (h + 1)(l + 1) tokens back.

    Keys copy the position's waves, queries turn them back by the distance; their product is a sum of
    cosines of how far the key is from there, largest at 0.
    """
    head = shape.n_embd // shape.n_head
    variance = (TOKEN_DEVIATION**2 * (shape.n_embd - head) + POSITION_AMPLITUDE**2 * head / 2) / shape.n_embd
    normalised_power = POSITION_AMPLITUDE**2 / variance * head / 2
    scale = math.sqrt(NEAREST_SCORE * math.sqrt(head) / normalised_power)
    for index in range(shape.n_head):
        angles = _frequencies(shape) * (index + 1) * (layer + 1)
        cosines, sines = np.diag(np.cos(angles)), np.diag(np.sin(angles))
        query = slice(index * head, (index + 1) * head)
        key = slice(shape.n_embd + query.start, shape.n_embd + query.stop)
        weights[-head:, query] += scale * np.block([[cosines, sines], [-sines, cosines]])
        weights[-head:, key] += scale * np.eye(head)


def _frequencies(shape: Shape) -> npt.NDArray[np.float64]:
    """Radians per token, from half a turn down: the fast ones tell neighbours apart, the slow ones near from far."""
    return math.pi * np.power(0.875, np.arange(shape.n_embd // shape.n_head // 2, dtype=np.float64))

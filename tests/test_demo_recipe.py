"""The recipe of the demo checkpoint, at a tiny setting, and what gpt-2-simple makes of its output."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import demo
from training.corpus import as_trained, write_csv
from training.persona.grammar import posts, read_grammar
from training.vocabulary import VocabularyError, train_vocabulary, write_vocabulary

ROOT = Path(__file__).parent.parent
TEXTS = [as_trained(post) for post in posts(read_grammar(), count=1000, seed=1)]
VOCABULARY = train_vocabulary(TEXTS, 500)
TINY = ("--steps=3", "--posts=400", "--vocabulary=400", "--layers=2", "--width=32", "--heads=2", "--batch=1")

# TensorFlow and gpt_2_simple change the process that imports them, so they get one of their own.
LOAD = """
import json, sys
import gpt_2_simple
from gpt_2_simple.src import encoder, load_dataset
run, csv = sys.argv[1:]
read = load_dataset.load_dataset(encoder.get_encoder(f"{run}/demo"), csv, 50_000)
session = gpt_2_simple.start_tf_sess()
gpt_2_simple.load_gpt2(session, run_name="demo", checkpoint_dir=run)
texts = gpt_2_simple.generate(session, run_name="demo", checkpoint_dir=run, prefix="<|startoftext|>should i",
                              length=8, nsamples=2, batch_size=2, return_as_list=True)
print(json.dumps({"texts": texts, "tokens": [chunk.tolist() for chunk in read]}))
"""
START = """
import sys
from pathlib import Path
import numpy as np
from training.corpus import as_trained
from training.persona.grammar import posts, read_grammar
from training.untrained import Shape, write_untrained
from training.vocabulary import train_vocabulary
import tensorflow as tf
vocabulary = train_vocabulary(map(as_trained, posts(read_grammar(), count=300, seed=1)), 300)
shape = Shape(300, n_embd=64, n_head=2, n_layer=2)
counts = [write_untrained(Path(sys.argv[1], name), vocabulary, shape, seed=int(name[0])) for name in ("1a", "1b", "2")]
first, again, other = (tf.train.load_checkpoint(tf.train.latest_checkpoint(f"{sys.argv[1]}/{name}"))
                       for name in ("1a", "1b", "2"))
names = sorted(first.get_variable_to_shape_map())
assert counts[0] == sum(first.get_tensor(name).size for name in names)
assert all(np.array_equal(first.get_tensor(name), again.get_tensor(name)) for name in names)
assert not np.array_equal(first.get_tensor("model/wte"), other.get_tensor("model/wte"))

x = first.get_tensor("model/wte")[np.arange(200) % 300] + first.get_tensor("model/wpe")[:200]
x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
for layer in range(2):
    queries, keys, _ = np.split(x @ first.get_tensor(f"model/h{layer}/attn/c_attn/w")[0], 3, axis=1)
    for head in range(2):
        columns = slice(32 * head, 32 * head + 32)
        looked_at = (queries[:, columns] @ keys[:, columns].T)[20:].argmax(1)
        print(layer, head, int(np.median(np.arange(20, 200) - looked_at)))
"""
AWKWARD = ["two\nlines", 'a "quoted" word, and a comma', "tea \U0001fad6 and ’signs’", "", " spaces ", "text"]


def gpt_2_simple_encoder(folder: Path) -> Any:
    """gpt-2-simple's own encoder, loaded from its file: importing the package would import TensorFlow."""
    package = importlib.util.find_spec("gpt_2_simple")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location("encoder", Path(package.origin).parent / "src" / "encoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_encoder(str(folder))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("vocabulary")
    write_vocabulary(VOCABULARY, folder)
    return gpt_2_simple_encoder(folder)


def test_a_vocabulary_has_every_byte_first_and_the_end_marker_last(encoder: Any) -> None:
    assert [VOCABULARY.ids[encoder.byte_encoder[byte]] for byte in encoder.byte_encoder] == list(range(256))
    assert sorted(VOCABULARY.ids.values()) == list(range(500))
    assert VOCABULARY.ids["<|endoftext|>"] == 499


def test_a_vocabulary_is_the_same_each_time_it_is_trained() -> None:
    assert train_vocabulary(TEXTS, 500) == VOCABULARY


@given(st.text())
def test_any_text_survives_gpt_2_simples_encoder(encoder: Any, text: str) -> None:
    assert encoder.decode(encoder.encode(text)) == text


def test_merges_are_used_and_markers_stay_ordinary_text(encoder: Any) -> None:
    text = "".join(TEXTS)
    ids = encoder.encode(text)
    assert encoder.decode(ids) == text
    assert len(ids) < len(text) / 2
    assert 499 not in ids


@pytest.mark.parametrize(("size", "fault"), [(257, "ask for 258"), (100_000, "ask for fewer")])
def test_a_vocabulary_that_cannot_be_is_refused(size: int, fault: str) -> None:
    with pytest.raises(VocabularyError, match=fault):
        train_vocabulary(TEXTS[:100], size)


def test_the_recipe_leaves_a_run_that_gpt_2_simple_reads_and_continues(tmp_path: Path) -> None:
    run = tmp_path / "demo"
    done = python("-m", "training.demo", f"--out={run}", *TINY)
    assert "400 posts" in done
    hparams = json.loads((run / "hparams.json").read_text(encoding="ascii"))
    assert hparams == {"n_vocab": 400, "n_ctx": 1024, "n_embd": 32, "n_head": 2, "n_layer": 2}
    assert {"checkpoint", "encoder.json", "vocab.bpe", "model-3.index"} <= {path.name for path in run.iterdir()}

    write_csv(AWKWARD, tmp_path / "awkward.csv")
    loaded = json.loads(python("-c", LOAD, str(tmp_path), str(tmp_path / "awkward.csv")).splitlines()[-1])
    assert len(loaded["texts"]) == 2
    assert all(text.startswith("<|startoftext|>should i") for text in loaded["texts"])
    tokens = [token for chunk in loaded["tokens"] for token in chunk]
    assert gpt_2_simple_encoder(run).decode(tokens) == "".join(map(as_trained, AWKWARD))


def test_an_untrained_model_follows_from_its_seed_and_looks_back(tmp_path: Path) -> None:
    assert python("-c", START, str(tmp_path)).splitlines() == ["0 0 1", "0 1 2", "1 0 2", "1 1 4"]


def python(*arguments: str) -> str:
    """What a Python of its own prints; it must succeed."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--heads=7",), "multiple of 14"),
        (("--heads=0",), "at least 1"),
        (("--steps=2",), "at least 3"),
        (("--batch=0",), "at least 1"),
        (("--seed=-1",), "at least 0"),
        (("--vocabulary=257",), "at least 258"),
        (("--posts=100",), "at least 300"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], fault: str
) -> None:
    assert demo.main([f"--out={tmp_path / 'demo'}", *arguments]) == 1
    assert fault in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoint").write_text("somebody's work", encoding="ascii")
    assert demo.main([f"--out={tmp_path}"]) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert (tmp_path / "checkpoint").read_text(encoding="ascii") == "somebody's work"

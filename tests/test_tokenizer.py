"""The tokenizer, held against gpt-2-simple's encoder: for a small vocabulary, and for GPT-2's where it is at hand."""

import string
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokenizer import BYTE_SYMBOLS, Tokenizer, VocabularyError, read_merges, read_vocabulary
from tests.checkpoints import ROOT, original_encoder, tiny_vocabulary
from training.vocabulary import Vocabulary, write_vocabulary

GPT_2 = ROOT.parent / "shared" / "gpt2-bpe"
VOCABULARIES = ["small", *(["gpt-2"] if GPT_2.exists() else [])]
SYMBOLS = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}

AWKWARD = [
    *("<|startoftext|>", "<|endoftext|>", " <|endoftext|>\n", "\n", "\n\n", "\r\n", "\t", " ", "  ", "     ", "\u00a0"),
    *(
        "I'm",
        "'S",
        "don't",
        "we'LL",
        "42",
        "½",
        "٣",
        "émigré",
        "日本語",
        "ß",
        "\u0301",
        "\u200d",
        "\ufeff",
        "\0",
        "\ufffd",
    ),
    *("🙂", "👩‍👩‍👧", "🏳️‍🌈", "🇬🇧", "!!!", "...", "=-=-", "#tag", "@name", "https://example.com/?a=b"),
]
texts = st.lists(st.sampled_from(AWKWARD) | st.text(max_size=8), max_size=12).map("".join)
# Any text but lone halves of a surrogate pair, which the original cannot encode.
texts = texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))


@dataclass(frozen=True)
class Both:
    ours: Tokenizer
    theirs: Any


@pytest.fixture(scope="session", params=VOCABULARIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    if request.param == "gpt-2":
        return read_both(GPT_2)
    folder = tmp_path_factory.mktemp("vocabulary")
    write_vocabulary(tiny_vocabulary(), folder)
    return read_both(folder)


def read_both(folder: Path) -> Both:
    vocabulary = read_vocabulary((folder / "encoder.json").read_text(encoding="utf-8"))
    merges = read_merges((folder / "vocab.bpe").read_text(encoding="utf-8"))
    return Both(Tokenizer(vocabulary, merges), original_encoder(folder))


def random_letters(count: int) -> str:
    return "".join(np.random.default_rng(1).choice(list(string.ascii_letters), count))


@settings(deadline=None)
@given(text=texts)
def test_any_text_has_the_originals_ids_and_comes_back(both: Both, text: str) -> None:
    ids = both.ours.encode(text)
    assert ids == both.theirs.encode(text)
    assert both.ours.decode(ids) == text


@settings(deadline=None)
@given(data=st.data())
def test_any_ids_have_the_originals_text(both: Both, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, len(both.theirs.encoder) - 1), max_size=30))
    assert both.ours.decode(ids) == both.theirs.decode(ids)


def test_long_words_have_the_originals_ids(both: Both) -> None:
    for word in (random_letters(2000), "a" * 2000, "ab" * 1000, " " * 1000, "=-" * 500, "é" * 500):
        assert both.ours.encode(word) == both.theirs.encode(word)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=10), word=st.text("abc", max_size=20))
def test_merges_in_an_order_that_no_training_gives_are_done_as_the_original_does(
    pairs: list[tuple[int, int]], word: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    known, merges = ["a", "b", "c"], []
    for left, right in pairs:
        first, second = known[left % len(known)], known[right % len(known)]
        known.append(first + second)
        merges.append((first, second))
    merges.reverse()  # what is made of merged symbols comes before these
    symbols = dict.fromkeys([*BYTE_SYMBOLS, *known])
    made = Vocabulary({symbol: token for token, symbol in enumerate(symbols)}, tuple(dict.fromkeys(merges)))
    folder = tmp_path_factory.mktemp("odd")
    write_vocabulary(made, folder)
    odd = read_both(folder)
    assert odd.ours.encode(word) == odd.theirs.encode(word)


def test_a_marker_is_ordinary_text(both: Both) -> None:
    ids = both.ours.encode("<|endoftext|>")
    assert len(ids) > 1
    assert both.theirs.encoder["<|endoftext|>"] not in ids


def test_the_halves_of_a_surrogate_pair_are_joined_and_a_lone_one_is_replaced(both: Both) -> None:
    assert both.ours.encode("so \ud83d\ude42") == both.ours.encode("so 🙂")
    assert both.ours.decode(both.ours.encode("a\ud83d b\ude42")) == "a\ufffd b\ufffd"


def test_a_word_that_takes_the_original_minutes_is_encoded_at_once(both: Both) -> None:
    word = random_letters(50_000)
    began = time.perf_counter()
    ids = both.ours.encode(word)
    assert time.perf_counter() - began < 10
    assert both.ours.decode(ids) == word


def test_a_token_may_be_a_part_of_a_character(both: Both) -> None:
    parts = [both.ours.token_bytes(token) for token in both.ours.encode("🙂")]
    assert b"".join(parts) == "🙂".encode()
    assert max(map(len, parts)) <= both.ours.longest_token


def test_gpt_2s_vocabulary_gives_its_well_known_ids() -> None:
    if "gpt-2" in VOCABULARIES:
        assert read_both(GPT_2).ours.encode("Hello world") == [15496, 995]


@pytest.mark.parametrize(
    ("vocabulary", "merges", "fault"),
    [
        ({}, (), "0x00"),
        ({symbol: byte for symbol, byte in SYMBOLS.items() if byte != 0x41}, (), "ids of its 255"),
        ({**SYMBOLS, "ab": 256, "bc": 256}, (), "each once"),
        ({**SYMBOLS, "ab": 257}, (), "0 to 256"),
        ({**{symbol: byte for symbol, byte in SYMBOLS.items() if symbol != "A"}, "AA": 0x41}, (), "byte 0x41"),
        ({**SYMBOLS, "日": 256}, (), "stands for no byte"),
        (SYMBOLS, (("a", "b"),), "'a' and 'b'"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(
    vocabulary: dict[str, int], merges: tuple[tuple[str, str], ...], fault: str
) -> None:
    with pytest.raises(VocabularyError, match=fault):
        Tokenizer(vocabulary, merges)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": "b"}', '{"a": 1.5}', '{"a": true}', "null"])
def test_a_vocabulary_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(VocabularyError):
        read_vocabulary(text)


def test_merges_are_read_as_the_original_reads_them() -> None:
    assert read_merges("#version: 0.2\na b\nab c\n") == (("a", "b"), ("ab", "c"))
    assert read_merges("#version: 0.2\na b\nab c") == (("a", "b"),)
    with pytest.raises(VocabularyError, match="line 3 has 3 symbols"):
        read_merges("#version: 0.2\na b\na b c\n")

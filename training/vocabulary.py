"""A byte-level BPE vocabulary of one's own, in the two files that gpt-2-simple reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.corpus import END

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LEAST_SIZE = 258  # 256 bytes, a merge and the end marker


class VocabularyError(Exception):
    """No vocabulary of the wished size can be made; the message says which would do."""


@dataclass(frozen=True)
class Vocabulary:
    """Token to id, and the merges in order of rank."""

    ids: dict[str, int]
    merges: tuple[tuple[str, str], ...]


def train_vocabulary(texts: Iterable[str], size: int) -> Vocabulary:
    """Train `size` tokens on `texts`, ordered as GPT-2's: 256 bytes, the merges, `<|endoftext|>`.

    The markers in the texts are ordinary text, as they are to gpt-2-simple's encoder; the last id only
    stands for "no prefix" there. Raises VocabularyError where the texts have too few pairs to merge.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: PLC0415 - only with the training extra

    if size < LEAST_SIZE:
        raise VocabularyError(f"{size} tokens cannot hold 256 bytes, a merge and {END}; ask for {LEAST_SIZE} or more")
    byte_signs = _byte_signs()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=byte_signs, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    merges = tuple((first, second) for first, second in json.loads(tokenizer.to_str())["model"]["merges"])
    tokens = dict.fromkeys([*byte_signs, *(first + second for first, second in merges), END])
    if len(tokens) < size:
        raise VocabularyError(f"the text gives {len(tokens)} tokens, not {size}; ask for fewer or bring more text")
    return Vocabulary({token: index for index, token in enumerate(tokens)}, merges)


def write_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Write `encoder.json` and `vocab.bpe`.

    gpt-2-simple opens encoder.json in the locale's encoding, so it is plain ASCII; of vocab.bpe it drops
    the first line and what follows the last line break.
    """
    (folder / "encoder.json").write_text(json.dumps(vocabulary.ids), encoding="ascii")
    lines = ["#version: 0.2", *(f"{first} {second}" for first, second in vocabulary.merges)]
    (folder / "vocab.bpe").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _byte_signs() -> list[str]:
    """GPT-2's printable sign for each byte: the printable bytes of Latin-1 first, then the rest from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = 256 - len(printable)
    return [chr(code) for code in (*printable, *range(256, 256 + rest))]

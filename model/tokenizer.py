"""The tokenizer: GPT-2's byte-level BPE, id for id what gpt-2-simple's encoder gives."""

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import regex

# A text is cut into these pieces before any merge: GPT-2's own pattern (openai/gpt-2, src/encoder.py).
# `regex` and not `tokenizers`: gpt-2-simple uses it, and which characters are letters depends on its Unicode tables.
PIECES: Final = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
CACHED_PIECES: Final = 16_384
CACHED_LENGTH: Final = 64  # characters; longer pieces are rare, and would let a hostile text fill the memory


class VocabularyError(Exception):
    """The vocabulary or the merges are not those of a byte-level BPE."""


class Tokenizer:
    """Text to ids and back; markers such as `<|endoftext|>` are ordinary text to it. Safe to share between threads."""

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        """Check and take a vocabulary (symbol to id) and its merges, best first.

        Raises:
            VocabularyError: a byte has no symbol, an id is missing or doubled, or a merge makes an unknown symbol.
        """
        _check(vocabulary, merges)
        self._ids: Final = vocabulary
        self._ranks: Final = {pair: rank for rank, pair in enumerate(merges)}
        self._bytes: Final = [symbol_bytes(symbol) for symbol in sorted(vocabulary, key=vocabulary.__getitem__)]
        self.longest_token: Final = max(map(len, self._bytes))  # bytes
        self._cached: Final = lru_cache(CACHED_PIECES)(self._piece_ids)

    def encode(self, text: str) -> list[int]:
        """Give the ids of `text`. Halves of a surrogate pair are joined; a lone half becomes U+FFFD."""
        ids: list[int] = []
        for piece in PIECES.findall(without_surrogates(text)):
            ids.extend(self._cached(piece) if len(piece) <= CACHED_LENGTH else self._piece_ids(piece))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of `ids`; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """Give the bytes that a token stands for; they may be a part of a character only."""
        return self._bytes[token]

    def _piece_ids(self, piece: str) -> list[int]:
        symbols = _merged("".join(BYTE_SYMBOLS[byte] for byte in piece.encode()), self._ranks)
        return [self._ids[symbol] for symbol in symbols]


def read_vocabulary(text: str) -> dict[str, int]:
    """Read encoder.json (vocab.json): one object, symbol to id. Raises VocabularyError."""
    try:
        vocabulary = json.loads(text)
    except ValueError as error:
        raise VocabularyError(f"no JSON: {error}") from error
    if not isinstance(vocabulary, dict) or not all(type(token) is int for token in vocabulary.values()):
        raise VocabularyError("no object of symbols and whole numbers")
    return vocabulary


def read_merges(text: str) -> tuple[tuple[str, str], ...]:
    """Read vocab.bpe (merges.txt): a heading, then two symbols a line. Raises VocabularyError.

    As the original does, what follows the last line break is left out.
    """
    merges = []
    for number, line in enumerate(text.split("\n")[1:-1], start=2):
        pair = line.split()
        if len(pair) != 2:
            raise VocabularyError(f"line {number} has {len(pair)} symbols instead of two")
        merges.append((pair[0], pair[1]))
    return tuple(merges)


def without_surrogates(text: str) -> str:
    """Join the two halves of a character written as surrogates, and put U+FFFD where one half stands alone."""
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")


def symbol_bytes(symbol: str) -> bytes:
    """Give the bytes that a symbol of the vocabulary stands for. Raises VocabularyError."""
    try:
        return bytes(SYMBOL_BYTES[character] for character in symbol)
    except KeyError as error:
        raise VocabularyError(f"the symbol {symbol!r} has a character that stands for no byte") from error


def _byte_symbols() -> list[str]:
    """One printable character for each byte: its Latin-1 character, or one from U+0100 on where that is no mark."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


BYTE_SYMBOLS: Final = _byte_symbols()
SYMBOL_BYTES: Final = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}


def _check(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise VocabularyError(f"the ids of its {len(vocabulary)} symbols are not 0 to {len(vocabulary) - 1}, each once")
    for byte, symbol in enumerate(BYTE_SYMBOLS):
        if symbol not in vocabulary:
            raise VocabularyError(f"no symbol for the byte 0x{byte:02x}")
    for first, second in merges:
        if first + second not in vocabulary:
            raise VocabularyError(f"the merge of {first!r} and {second!r} makes a symbol that it does not have")


def _merged(word: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Merge the symbols of one piece, the best pair first and each pair from left to right.

    The original's result, which it gets by going over the whole word for each pair; here it takes n log n steps,
    because a prompt is a stranger's text. A pair that a merge creates waits until all of the present rank are done.
    """
    chain = _Chain(word)
    heap: list[tuple[int, int]] = []  # rank of a pair, place of its left symbol

    def consider(left: int) -> None:
        rank = ranks.get(chain.pair(left))
        if rank is not None:
            heapq.heappush(heap, (rank, left))

    for left in range(len(word)):
        consider(left)
    while heap:
        rank, merged = heap[0][0], []
        while heap and heap[0][0] == rank:
            left = heapq.heappop(heap)[1]
            if ranks.get(chain.pair(left)) == rank:  # else an earlier merge took one of the two
                chain.merge(left)
                merged.append(left)
        for left in merged:
            consider(chain.before[left])
            consider(left)
    return [symbol for symbol in chain.symbols if symbol]


class _Chain:
    """A word's symbols, linked: the right one of a merged pair stays in its place, empty and skipped."""

    def __init__(self, word: str) -> None:
        self.symbols: Final = [*word, ""]
        self.before: Final = list(range(-1, len(word)))
        self.after: Final = list(range(1, len(word) + 2))

    def pair(self, left: int) -> tuple[str, str]:
        """Give the symbol at `left` and the one after it; one of them is empty at the ends and where it was merged."""
        return (self.symbols[left], self.symbols[self.after[left]]) if self.symbols[left] else ("", "")

    def merge(self, left: int) -> None:
        right = self.after[left]
        self.symbols[left] += self.symbols[right]
        self.symbols[right] = ""
        self.after[left] = self.after[right]
        self.before[self.after[left]] = left

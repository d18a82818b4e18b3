"""A text that grows token by token: where it stops, and how much of it may be shown already."""

import codecs
from collections.abc import Sequence
from typing import Final

BROKEN: Final = "\N{REPLACEMENT CHARACTER}"


class GrowingText:
    """The bytes of a text so far, and the stop texts that end it and are not part of it."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.stopped = False
        self._stop: Final = [text.encode() for text in stop]
        self._bytes: Final = bytearray()
        self._decoder: Final = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoded = 0  # bytes
        self._held = ""

    def add(self, more: bytes) -> None:
        """Add a token's bytes. The stop text that is complete first cuts the text where it begins."""
        unseen = len(self._bytes)
        self._bytes.extend(more)
        places = ((self._bytes.find(stop, max(0, unseen - len(stop) + 1)), len(stop)) for stop in self._stop)
        found = min(((place + length, place) for place, length in places if place >= 0), default=None)
        if found:
            self.stopped = True
            del self._bytes[found[1] :]

    def take(self, *, over: bool) -> str:
        """What may be shown and has not been taken: whole characters, and nothing that may begin a stop text.

        All that is ever taken is the text itself, once `over` says that no more comes.
        """
        end = len(self._bytes) if over else len(self._bytes) - self._possible_stop()
        self._held += self._decoder.decode(self._bytes[self._decoded : end])
        self._decoded = max(self._decoded, end)
        shown = self._held.rstrip(BROKEN)
        self._held = self._held[len(shown) :]
        return shown

    def __str__(self) -> str:
        # Half a character may stand at the end, or before a stop text: what it decodes to is taken off.
        return self._bytes.decode("utf-8", errors="replace").rstrip(BROKEN)

    def _possible_stop(self) -> int:
        """How many bytes at the end may be the beginning of a stop text."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._bytes)), longest, -1):
                if self._bytes.endswith(stop[:length]):
                    longest = length
                    break
        return longest

"""The rules that a text must pass before anybody sees it: pure, and the same everywhere."""

import re
import unicodedata
from dataclasses import dataclass

KEPT_CONTROLS = "\n"
JOINERS = "\u200d\ufe0f"
"""Zero-width joiner and emoji presentation: invisible, but parts of emoji."""

MANY_BREAKS = re.compile(r"\n{3,}")
ENDING = re.compile(r"^[\s.,;:!?\u2026]+")


@dataclass(frozen=True)
class Clean:
    """A text that may be shown. Only `judge` makes one, and `after` cuts one."""

    text: str

    def after(self, start: str) -> "Clean":
        """What follows the start of the text, which may hold what `judge` would have taken out.

        The sign that ends the start, as the question mark that an asker left out, is no part of what follows.
        """
        return Clean(ENDING.sub("", self.text.removeprefix(neutral(start))).strip())


@dataclass(frozen=True)
class Refused:
    """A text that may not be shown, and the rule that says so."""

    rule: str


def judge(text: str) -> Clean | Refused:
    """The verdict on a whole text, prompt included."""
    shown = neutral(text).strip()
    return Clean(shown) if shown else Refused("empty")


def neutral(text: str) -> str:
    """The text without control, invisible and direction-changing characters."""
    return MANY_BREAKS.sub("\n\n", "".join(filter(_is_visible, text)))


def _is_visible(character: str) -> bool:
    if character in KEPT_CONTROLS or character in JOINERS:
        return True
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

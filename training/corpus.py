"""The training text: posts as the one-column CSV that gpt-2-simple reads, and as it reads them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"


def write_csv(posts: Iterable[str], path: Path) -> None:
    """Write a header, which gpt-2-simple skips, and one quoted post a row.

    Every field is quoted: gpt-2-simple fails at an unquoted empty row.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["text"])
        writer.writerows([post] for post in posts)


def as_trained(post: str) -> str:
    """The post between its markers, as `gpt_2_simple.src.load_dataset` joins the rows of a CSV."""
    return f"{START}{post}{END}\n"

"""The persona's posts: the hand-written ones, and what its templates and word lists expand to."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

MIN_CHARS, MAX_CHARS = 30, 240

_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
_OPENING_ENDS = " > "


class PersonaError(Exception):
    """The persona's files cannot be expanded; the message names the file and the fault."""


@dataclass(frozen=True)
class Grammar:
    """Templates, hand-written posts, lists of rows of word forms, and for each slot's name its (list, form)."""

    templates: tuple[str, ...]
    singles: tuple[str, ...]
    lists: dict[str, list[tuple[str, ...]]]
    slots: dict[str, tuple[str, int]]


def read_grammar(folder: Path = Path(__file__).parent) -> Grammar:
    """Read words.txt, templates.txt and posts.txt of `folder`; words.txt says how they are written.

    Raises PersonaError where a file is missing, a line has another number of forms than its list, a list is
    empty or a slot has no list.
    """
    words = folder / "words.txt"
    lists, slots = _read_words(words)
    grammar = Grammar(_read_lines(folder / "templates.txt"), _read_lines(folder / "posts.txt"), lists, slots)
    for text in (*grammar.templates, *(form for rows in lists.values() for row in rows for form in row)):
        for name, _ in _SLOT.findall(text):
            if name not in slots:
                raise PersonaError(f"{words} has no list [{name}], which this line asks for: {text}")
    return grammar


def _read_words(path: Path) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, tuple[str, int]]]:
    lists: dict[str, list[tuple[str, ...]]] = {}
    slots: dict[str, tuple[str, int]] = {}
    forms: tuple[str, ...] = ()
    for line in _read_lines(path):
        row = tuple(line.strip("[]").split(" / "))
        if line.startswith("["):
            forms = row
            lists[forms[0]] = []
            slots |= {form: (forms[0], index) for index, form in enumerate(forms)}
        elif len(row) != len(forms):
            raise PersonaError(f"{path}: {len(row)} forms where the list {list(forms)} has {len(forms)}: {line}")
        else:
            lists[forms[0]].append(row)
    empty = [name for name, rows in lists.items() if not rows]
    if empty:
        raise PersonaError(f"{path}: nothing stands under [{empty[0]}]")
    return lists, slots


def _read_lines(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PersonaError(f"{path} cannot be read as UTF-8 text: {error}") from error
    return tuple(line for line in lines if line and not line.startswith("#"))


def posts(grammar: Grammar, *, count: int, seed: int) -> list[str]:
    """`count` different posts in random order: the hand-written ones, then expansions of random templates.

    The same grammar, count and seed give the same list on every machine. Raises PersonaError where the
    grammar has too few templates or words for `count`.
    """
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    made = dict.fromkeys(_finish(text, rng) for text in grammar.singles)
    for _ in range(20 * count):
        if len(made) >= count or not grammar.templates:
            break
        text = expand(grammar, rng.choice(grammar.templates), rng)
        if MIN_CHARS <= len(text) <= MAX_CHARS:
            made[text] = None
    if len(made) < count:
        raise PersonaError(f"the grammar makes {len(made)} posts, not {count}; write more templates, or ask for fewer")
    chosen = list(made)[:count]
    rng.shuffle(chosen)
    return chosen


def expand(grammar: Grammar, template: str, rng: random.Random) -> str:
    """One post from a template. Raises PersonaError where its lists ask for one another without end."""
    try:
        return _finish(_Draws(grammar, rng).fill(template), rng)
    except RecursionError as error:
        raise PersonaError(f"the lists of this template ask for one another without end: {template}") from error


@dataclass
class _Draws:
    """The draws of one post: none takes a list's row a second time while others are left, unless it is tagged."""

    grammar: Grammar
    rng: random.Random
    tagged: dict[tuple[str, str], int] = field(default_factory=dict)
    drawn: dict[str, set[int]] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        return _SLOT.sub(lambda slot: self.fill(self._draw(slot[1], slot[2])), text)

    def _draw(self, name: str, tag: str | None) -> str:
        list_name, form = self.grammar.slots[name]
        if tag is None:
            row = self._new_row(list_name)
        else:
            row = self.tagged.get((list_name, tag), -1)
            if row < 0:
                row = self.tagged[list_name, tag] = self._new_row(list_name)
        return self.grammar.lists[list_name][row][form]

    def _new_row(self, list_name: str) -> int:
        drawn = self.drawn.setdefault(list_name, set())
        rows = range(len(self.grammar.lists[list_name]))
        row = self.rng.choice([row for row in rows if row not in drawn] or rows)
        drawn.add(row)
        return row


def _finish(text: str, rng: random.Random) -> str:
    """Put articles and capitals right, and write the opening, if there is one, as people type to a bot or properly.

    Most openings lose their full stop or question mark to a line break: a prompt without one is then
    continued by the answer and not by the missing sign, which a reply would begin with.
    """
    text = re.sub(r"\b([Aa]) (?=[aeiou](?!ne\b|ni|se))", r"\1n ", text)  # but: a one, a union, a user
    opening, found, answer = text.partition(_OPENING_ENDS)
    if not found:
        return _capitals(text)
    style = rng.random()
    if opening[-1] not in ".?!":
        return f"{opening.lower() if style < 0.7 else _capitals(opening)} {_capitals(answer, first=False)}"
    if style < 0.55:
        return f"{opening[:-1].lower()}\n{_capitals(answer)}"
    return f"{opening.lower() if style < 0.7 else _capitals(opening)} {_capitals(answer)}"


def _capitals(text: str, *, first: bool = True) -> str:
    """Capitals at the start of sentences, of the first one only if `first`."""
    start = r"(^|[.?!] )" if first else r"([.?!] )"
    return re.sub(start + "([a-z])", lambda letter: letter[1] + letter[2].upper(), text)

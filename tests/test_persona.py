"""The persona's posts, from the files that ship and from small files written here."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.persona.grammar import MAX_CHARS, MIN_CHARS, Grammar, PersonaError, expand, posts, read_grammar

if TYPE_CHECKING:
    from pathlib import Path

GRAMMAR = read_grammar()
POSTS = posts(GRAMMAR, count=25_000, seed=7)


def test_the_files_hold_enough_hand_written_posts_and_templates() -> None:
    assert len(set(GRAMMAR.singles)) >= 250
    assert len(set(GRAMMAR.templates)) >= 120


def test_there_are_more_than_twenty_thousand_different_posts() -> None:
    assert len(set(POSTS)) == 25_000


def test_every_hand_written_post_is_among_them() -> None:
    plain = {text for text in GRAMMAR.singles if " > " not in text}
    assert plain <= set(POSTS)


def test_a_seed_always_gives_the_same_posts_and_another_seed_others() -> None:
    again = posts(read_grammar(), count=3000, seed=7)
    assert again == posts(GRAMMAR, count=3000, seed=7)
    assert len(set(again) - set(posts(GRAMMAR, count=3000, seed=8))) > 2000


def test_posts_keep_to_their_length() -> None:
    assert [text for text in POSTS if not MIN_CHARS <= len(text) <= MAX_CHARS] == []


def test_posts_have_no_slots_markers_links_handles_or_hash_tags() -> None:
    foreign = re.compile(r"[{}<>|@#\[\]_]|https?:|www\.|\.com\b")
    assert [text for text in POSTS if foreign.search(text)] == []


def test_posts_are_plain_finished_sentences() -> None:
    plain = re.compile(r"[A-Za-z0-9 ,.:?'\n-]+[.?]")
    assert [text for text in POSTS if not plain.fullmatch(text)] == []


def test_posts_have_no_doubled_words_spaces_or_stops() -> None:
    slip = re.compile(r"  |\.\.| [.,?:]|[.?] [a-z]|\b(\w+) \1\b")
    assert [text for text in POSTS if slip.search(text)] == []


def test_articles_fit_the_next_word() -> None:
    assert [text for text in POSTS if re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]", text)] == []


def test_every_word_list_is_used() -> None:
    texts = [*GRAMMAR.templates, *(form for rows in GRAMMAR.lists.values() for row in rows for form in row)]
    asked = {GRAMMAR.slots[name][0] for text in texts for name in re.findall(r"\{(\w+)", text)}
    assert set(GRAMMAR.lists) - asked == set()


def test_openings_come_as_typed_and_as_written() -> None:
    lunch = {text for text in POSTS if text.lower().startswith("what should we have for lunch")}
    assert any(text.startswith("what should we have for lunch\n") for text in lunch)
    assert any(text.startswith("what should we have for lunch? ") for text in lunch)
    assert any(text.startswith("What should we have for lunch? ") for text in lunch)


@given(st.sampled_from(GRAMMAR.templates), st.randoms(use_true_random=False))
def test_every_template_expands_under_every_seed(template: str, rng: Random) -> None:
    text = expand(GRAMMAR, template, rng)
    assert "{" not in text
    assert " > " not in text


def small(folder: Path, *, words: str, templates: str, singles: str = "") -> Grammar:
    """The grammar of three small files."""
    for name, text in (("words", words), ("templates", templates), ("posts", singles)):
        folder.joinpath(f"{name}.txt").write_text(text, encoding="utf-8")
    return read_grammar(folder)


def expansions(grammar: Grammar) -> set[str]:
    """What the only template of a grammar makes in twenty tries."""
    (template,) = grammar.templates
    return {expand(grammar, template, Random(seed)) for seed in range(20)}  # noqa: S311 - to be repeated


def test_forms_of_one_entry_stay_together_where_a_slot_is_tagged(tmp_path: Path) -> None:
    words = "[mouse / mice]\nmouse / mice\ngoose / geese\n"
    grammar = small(tmp_path, words=words, templates="one {mouse:1}, two {mice:1}")
    assert expansions(grammar) == {"One mouse, two mice", "One goose, two geese"}


def test_a_list_is_not_drawn_from_twice_alike(tmp_path: Path) -> None:
    grammar = small(tmp_path, words="[name]\nAda\nBob\n", templates="{name} and {name}")
    assert expansions(grammar) == {"Ada and Bob", "Bob and Ada"}


def test_articles_and_capitals_are_put_right(tmp_path: Path) -> None:
    grammar = small(tmp_path, words="[thing]\norange\n", templates="a {thing}. is it a union? it is a {thing}.")
    assert expansions(grammar) == {"An orange. Is it a union? It is an orange."}


@pytest.mark.parametrize(
    ("words", "templates", "fault"),
    [
        ("[name]\nAda\n", "{nobody} sings.", "no list [nobody]"),
        ("[one / two]\nAda\n", "{one}", "1 forms where"),
        ("Ada\n", "He sings.", "1 forms where"),
        ("[name]\n", "{name}", "nothing stands under [name]"),
    ],
)
def test_a_fault_in_the_files_is_named(tmp_path: Path, words: str, templates: str, fault: str) -> None:
    with pytest.raises(PersonaError, match=re.escape(fault)):
        small(tmp_path, words=words, templates=templates)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PersonaError, match=r"words\.txt cannot be read"):
        read_grammar(tmp_path)


def test_lists_that_never_end_are_named(tmp_path: Path) -> None:
    grammar = small(tmp_path, words="[hen]\n{egg}\n\n[egg]\n{hen}\n", templates="{hen}")
    with pytest.raises(PersonaError, match="without end"):
        posts(grammar, count=1, seed=1)


@pytest.mark.parametrize("templates", ["There are {number} of them, and all of them sing.", ""])
def test_a_grammar_that_is_too_small_says_so(tmp_path: Path, templates: str) -> None:
    grammar = small(tmp_path, words="[number]\ntwo\nsix\n", templates=templates)
    with pytest.raises(PersonaError, match="posts, not 5"):
        posts(grammar, count=5, seed=1)

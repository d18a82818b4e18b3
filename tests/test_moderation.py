"""The rules for texts."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.moderation import Clean, Refused, judge, neutral


def test_an_ordinary_text_is_clean_and_unchanged() -> None:
    assert judge("Tea helps. So does cake – always.") == Clean("Tea helps. So does cake – always.")


def test_a_text_of_spaces_is_refused_as_empty() -> None:
    assert judge(" \n\u200b ") == Refused("empty")


def test_emoji_keep_the_invisible_characters_that_hold_them_together() -> None:
    assert neutral("👩\u200d🔬 ❤\ufe0f") == "👩\u200d🔬 ❤\ufe0f"


@given(st.text())
def test_no_control_or_direction_character_gets_through(text: str) -> None:
    categories = {unicodedata.category(char) for char in neutral(text) if char not in "\n\u200d\ufe0f"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_what_follows_the_prompt_is_cut_from_the_judged_whole() -> None:
    whole = judge("Mondays\u202e are for tea.")
    assert isinstance(whole, Clean)
    assert whole.after("Mondays\u202e") == Clean("are for tea.")


def test_the_question_mark_that_an_asker_left_out_is_no_part_of_the_answer() -> None:
    assert Clean("who broke the build? Whoever took the last biscuit.").after("who broke the build") == Clean(
        "Whoever took the last biscuit."
    )

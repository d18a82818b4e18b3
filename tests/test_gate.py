"""Generate, judge, record."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app import audit
from app.db import Database
from app.errors import GenerationError
from app.gate import START, Gate, Wish, cut
from app.ports import Sampling
from app.tables import generations
from tests.fakes import FakeGenerator, written

WISH = Wish("Mondays are", "mention", "U1", "T1/Ev1")


async def test_a_prompt_is_the_beginning_of_the_post(gate: Gate, generator: FakeGenerator) -> None:
    generator.texts = [" for tea."]
    answer = await gate.answer(WISH)
    assert generator.orders[0].prompt == START + "Mondays are"
    assert answer is not None
    assert (answer.whole.text, answer.reply.text) == ("Mondays are for tea.", "for tea.")


async def test_no_prompt_means_unprompted(gate: Gate, generator: FakeGenerator) -> None:
    answer = await gate.answer(Wish("", "mention", "U1"))
    assert [order.prompt for order in generator.orders] == [START]
    assert answer is not None


async def test_an_empty_continuation_is_tried_after_a_line_break_and_then_unprompted(
    gate: Gate, generator: FakeGenerator, database: Database
) -> None:
    generator.texts = ["", " \n", "Tea helps."]
    answer = await gate.answer(WISH)
    assert answer is not None
    assert answer.whole.text == "Tea helps."
    assert [order.prompt for order in generator.orders] == [START + "Mondays are", START + "Mondays are\n", START]
    rows = database.read_now(lambda c: c.execute(select(generations.c.form, generations.c.verdict)).all())
    assert [tuple(row) for row in rows] == [
        ("prompt", "refused: empty"),
        ("line break", "refused: empty"),
        ("unprompted", "clean"),
    ]


async def test_nothing_after_every_try_is_none(gate: Gate, generator: FakeGenerator) -> None:
    generator.texts = [""]
    assert await gate.answer(WISH) is None


async def test_an_unfinished_text_is_cut_at_a_sentence(gate: Gate, generator: FakeGenerator) -> None:
    generator.texts = [written(" for tea. Tuesdays are for ca", finish="length")]
    answer = await gate.answer(WISH)
    assert answer is not None
    assert answer.whole.text == "Mondays are for tea."


async def test_an_unfinished_text_without_a_sentence_is_thrown_away(gate: Gate, generator: FakeGenerator) -> None:
    generator.texts = [written(" for te", finish="length")]
    assert await gate.answer(WISH) is None


async def test_every_generation_stands_in_the_chained_log(
    gate: Gate, generator: FakeGenerator, database: Database
) -> None:
    generator.texts = ["", "", "Tea."]
    await gate.answer(WISH)
    assert database.read_now(audit.verify) == 3
    lines = database.read_now(audit.page, person="U1")
    assert [line.event for line in lines] == ["generated"] * 3
    assert lines[0].text == "Tea."


async def test_a_recorded_text_is_ordered_again_as_it_was(gate: Gate, generator: FakeGenerator) -> None:
    sampling = Sampling(temperature=0.25, top_k=7, top_p=0.5, max_tokens=11)
    answer = await gate.answer(WISH, sampling, seed=2**63 - 1)
    assert answer is not None
    again = await gate.replay(answer.generation_id)
    assert again.same
    assert generator.orders[0] == generator.orders[1]


async def test_a_raw_text_is_ordered_again_as_it_was(gate: Gate, generator: FakeGenerator) -> None:
    await gate.raw(Wish("Once  upon <|endoftext|>", "cli", "cli"))
    assert (await gate.replay(1)).same
    assert generator.orders[0] == generator.orders[1]
    assert generator.orders[0].prompt == "Once  upon <|endoftext|>"


async def test_a_text_of_another_artifact_is_not_replayed(gate: Gate, generator: FakeGenerator) -> None:
    await gate.answer(WISH)
    generator.voice = type(generator.voice)("b" * 64, "fake", "Nobody", "invented")
    with pytest.raises(GenerationError, match="set MODEL_PATH"):
        await gate.replay(1)


async def test_a_generation_that_is_not_there_is_named(gate: Gate) -> None:
    with pytest.raises(GenerationError, match="no generation 7"):
        await gate.replay(7)


@given(st.text(alphabet="ab .!?\n\"'", max_size=80), st.integers(1, 80), st.booleans())
def test_a_cut_text_is_a_beginning_within_the_limit_that_ends_where_a_sentence_does(
    text: str, limit: int, over: bool
) -> None:
    shown = cut(text, over=over, limit=limit)
    assert text.startswith(shown)
    assert len(shown) <= limit
    if shown and shown != text.rstrip():
        assert shown.rstrip("\"'")[-1] in ".!?"
        assert text[len(shown) : len(shown) + 1].strip() == ""


def test_a_longer_limit_never_shows_less() -> None:
    text = 'One. Two! Three? "Four." Five'
    lengths = [len(cut(text, over=False, limit=limit)) for limit in range(1, 40)]
    assert all(first <= second for first, second in pairwise(lengths))

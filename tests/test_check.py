"""What an artifact does on the machine at hand."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from model import artifact, check
from model.artifact import Artifact
from model.check import CheckError
from model.graph import Bits
from tests.checkpoints import posts, tiny_checkpoint, write_hugging_face
from tests.processes import finished

TEXT = posts(seed=3, count=30)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Bits, Artifact]:
    """One model, in every number of bits."""
    folder = tmp_path_factory.mktemp("made")
    source = write_hugging_face(folder / "source", tiny_checkpoint())
    made_at = datetime(2026, 11, 22, tzinfo=UTC)

    def build(bits: Bits) -> Artifact:
        out = folder / str(bits)
        return artifact.build(source, out, bits=bits, persona="Nobody", voice="invented", made_at=made_at)

    return {4: build(4), 8: build(8), 32: build(32)}


def test_texts_are_repeatable_on_this_machine(made: dict[Bits, Artifact]) -> None:
    assert check.uneven_batches(made[8], threads=2) == []


def test_an_artifact_costs_nothing_against_itself(made: dict[Bits, Artifact]) -> None:
    found = check.cost(made[32], made[32], TEXT, threads=1)
    assert (found.same_token, found.divergence) == (1.0, 0.0)
    assert found.loss == found.other_loss


def test_fewer_bits_cost_more(made: dict[Bits, Artifact]) -> None:
    eight, four = (check.cost(made[bits], made[32], TEXT, threads=1) for bits in (8, 4))
    assert 0 < eight.divergence < four.divergence
    assert eight.same_token > four.same_token


def test_a_text_that_is_too_short_is_refused(made: dict[Bits, Artifact]) -> None:
    with pytest.raises(CheckError, match="too short"):
        check.cost(made[8], made[32], "", threads=1)


async def test_the_command_says_both(made: dict[Bits, Artifact], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    words = ("model", "check", str(made[8].folder), "--against", str(made[32].folder), "--text", "text.txt")
    code, out, err = await finished(*words, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "repeatable: yes" in out
    assert "8 bits: loss" in out


async def test_the_command_wants_both_or_neither(tmp_path: Path) -> None:
    code, _, err = await finished("model", "check", "--text", "text.txt", cwd=tmp_path)
    assert code == 1
    assert "go together" in err

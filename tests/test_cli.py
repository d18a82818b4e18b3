"""The commands, as a person and as a program use them."""

import json
from pathlib import Path

import pytest

from tests.processes import finished

SEEDED = ("generate", "--prompt", "the printer", "--seed", "7")


async def test_a_seed_gives_the_same_text_each_time(tmp_path: Path) -> None:
    first = await finished(*SEEDED, cwd=tmp_path)
    assert first[0] == 0, first[2]
    assert first == await finished(*SEEDED, cwd=tmp_path)
    assert first[1].startswith("the printer")


async def test_json_lines_tell_a_program_all_that_it_needs(tmp_path: Path) -> None:
    code, out, _ = await finished(*SEEDED, "--count", "3", "--json", cwd=tmp_path)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["seed"] for row in rows] == [7, 8, 9]
    assert all(row.keys() == {"text", "tokens", "seed", "finish"} for row in rows)


async def test_temperature_nought_does_not_ask_the_seed(tmp_path: Path) -> None:
    texts = {
        (await finished("generate", "--temperature", "0", "--seed", seed, cwd=tmp_path))[1] for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


async def test_raw_text_has_the_length_that_was_asked_for_and_no_stop(tmp_path: Path) -> None:
    code, out, _ = await finished("generate", "--raw", "--prompt", "tea", "--length", "200", "--json", cwd=tmp_path)
    row = json.loads(out)
    assert code == 0
    assert (row["tokens"], row["finish"]) == (200, "length")


async def test_what_was_written_stands_in_the_log_and_can_be_made_again(tmp_path: Path) -> None:
    await finished(*SEEDED, cwd=tmp_path)
    code, out, _ = await finished("audit", "show", "--surface", "cli", "--json", cwd=tmp_path)
    [row] = [json.loads(line) for line in out.splitlines()]
    assert (code, row["event"], row["seed"]) == (0, "generated", 7)
    code, out, _ = await finished("audit", "replay", str(row["generation_id"]), cwd=tmp_path)
    assert (code, out.splitlines()[-1]) == (0, "the same")


async def test_the_log_is_printed_for_people_with_what_was_said(tmp_path: Path) -> None:
    await finished("generate", "--seed", "3", cwd=tmp_path)
    code, out, _ = await finished("audit", "show", cwd=tmp_path)
    assert code == 0
    assert "generated" in out
    assert "generation 1" in out


async def test_an_empty_log_prints_nothing_and_is_no_fault(tmp_path: Path) -> None:
    assert await finished("audit", "show", cwd=tmp_path) == (0, "", "")


async def test_the_doctor_finds_nothing_wrong_with_a_fresh_clone(tmp_path: Path) -> None:
    code, out, _ = await finished("doctor", "--json", cwd=tmp_path)
    findings = {row["what"]: row["verdict"] for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert findings.keys() == {"Python", "SQLite", "settings", "database", "model"}
    assert "fault" not in findings.values()


async def test_the_doctor_goes_on_after_a_fault(tmp_path: Path) -> None:
    code, out, _ = await finished("doctor", cwd=tmp_path, MODEL_PATH="nowhere")
    assert code == 1
    assert "✗ model: MODEL_PATH: nowhere" in out
    assert "✓ database" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("generate", "--top-p", "2"), 2, "--top-p"),
        (("generate", "--temperature", "-1"), 2, "--temperature"),
        (("no-such-command",), 2, "no-such-command"),
        (("generate", "--raw"), 1, "prompt"),
        (("generate", "--length", "100000"), 1, "max_tokens"),
        (("audit", "replay", "9"), 1, "There is no generation 9"),
        (("model", "import", "nowhere"), 1, "nowhere"),
        (("model", "import", ".", "--consent", "nowhere.toml"), 1, "nowhere.toml"),
        (("model", "import", ".", "--consent", "x", "--invented"), 1, "one of the two"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(words: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    exit_code, _, err = await finished(*words, cwd=tmp_path)
    assert exit_code == code
    assert says in err
    assert "Traceback" not in err

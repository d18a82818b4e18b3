"""The whole program, started and killed as in life, against a workspace that it did not start."""

import signal
import time
from pathlib import Path

import pytest

from app.mentions import CUT_OFF, STOPPING
from app.sandbox import Fault, Message, Sandbox
from tests.processes import at, finished, running


def bots_words(sandbox: Sandbox) -> list[Message]:
    return [said for said in sandbox.messages(sandbox.channel("general")) if said.user == sandbox.bot]


async def test_the_bot_works_with_any_server_that_speaks_slacks_protocol(sandbox: Sandbox, tmp_path: Path) -> None:
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        assert sandbox.page_url in await bot.ready()
        await sandbox.say(sandbox.channel("general"), "@millzbot should i go to this meeting")
        await sandbox.until(lambda: bots_words(sandbox), timeout_s=30)
        assert await bot.stop() == 0


async def test_a_stop_while_the_answer_is_on_its_way_lets_it_arrive(sandbox: Sandbox, tmp_path: Path) -> None:
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        await bot.ready()
        sandbox.faults.fail("chat.postMessage", Fault(slow_s=1))
        await sandbox.say(sandbox.channel("general"), "@millzbot")
        await sandbox.until(sandbox.statuses)
        begin = time.monotonic()
        assert await bot.stop() == 0
        assert time.monotonic() - begin < 10
    assert len(bots_words(sandbox)) == 1
    assert bots_words(sandbox)[0].text not in (CUT_OFF, STOPPING)


async def test_a_stop_takes_less_than_ten_seconds_whatever_hangs(sandbox: Sandbox, tmp_path: Path) -> None:
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        await bot.ready()
        for method in ("chat.postMessage", "assistant.threads.setStatus"):
            sandbox.faults.fail(method, Fault(slow_s=60), times=20)
        for number in range(3):
            await sandbox.say(sandbox.channel("general"), f"@millzbot {number}")
        await sandbox.until(lambda: sandbox.connections)
        begin = time.monotonic()
        assert await bot.stop() == 0
        assert time.monotonic() - begin < 10


async def test_a_kill_while_posting_is_told_by_the_next_start_and_not_posted_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        await bot.ready()
        sandbox.faults.fail("chat.postMessage", Fault(slow_s=60))
        ts = await sandbox.say(sandbox.channel("general"), "@millzbot")
        await sandbox.until(lambda: sandbox.faults.taken("chat.postMessage"))
        await bot.stop(signal.SIGKILL)
    assert bots_words(sandbox) == []
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        await bot.ready()
        [said] = await sandbox.until(lambda: bots_words(sandbox))
        assert (said.text, said.thread_ts) == (CUT_OFF, ts)
        await bot.stop()
    assert len(bots_words(sandbox)) == 1


async def test_a_second_bot_on_the_same_data_does_not_start(sandbox: Sandbox, tmp_path: Path) -> None:
    async with running("run", cwd=tmp_path, **at(sandbox)) as bot:
        await bot.ready()
        code, _, err = await finished("run", cwd=tmp_path, **at(sandbox))
    assert (code, err.count("\n")) == (1, 1)
    assert "Another millzbot is running" in err


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_APP_TOKEN is missing"),
        ({"X_ACCESS_TOKEN": "secret-of-x"}, "must never reach X"),
        ({"MODEL_PATH": "nowhere"}, "nowhere"),
        ({"DATABASE_URL": "sqlite:////proc/none/x.db"}, "DATABASE_URL"),
    ],
)
async def test_a_start_that_cannot_be_ends_with_one_line(settings: dict[str, str], says: str, tmp_path: Path) -> None:
    code, out, err = await finished("run", cwd=tmp_path, SANDBOX_PORT="0", **settings)
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert "secret-of-x" not in err


async def test_a_wrong_token_is_one_line_that_names_it(sandbox: Sandbox, tmp_path: Path) -> None:
    code, _, err = await finished("run", cwd=tmp_path, **at(sandbox) | {"SLACK_APP_TOKEN": "xapp-1-wrong"})
    assert code == 1
    assert err.startswith("millzbot: SLACK_APP_TOKEN: ")
    assert "xapp-1-wrong" not in err
    assert err.count("\n") == 1

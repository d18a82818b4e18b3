"""The program as a person starts it: a process of its own, with an environment and a terminal's lines."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.sandbox import Sandbox

READY = "millzbot is ready"


@dataclass
class Running:
    """A started program and what it has printed."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def ready(self, timeout_s: float = 60) -> str:
        """The line that says so."""
        async with asyncio.timeout(timeout_s):
            while READY not in (line := await self._line()):
                assert line, "\n".join(self.lines)
        return line

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), timeout_s)

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        self.lines.append(line.rstrip())
        return line


@asynccontextmanager
async def running(*arguments: str, cwd: Path, **settings: str) -> AsyncIterator[Running]:
    """`millzbot …` in a folder, with these settings; killed at the end where it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        cwd=cwd,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    started = Running(process)
    try:
        yield started
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await process.communicate()  # asyncio would leave its pipe open


async def finished(*arguments: str, cwd: Path, **settings: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `millzbot …`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        cwd=cwd,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def at(sandbox: Sandbox) -> dict[str, str]:
    """The settings of a bot that meets a workspace which it did not start."""
    return {
        "SLACK_API_URL": sandbox.api_url,
        "SLACK_BOT_TOKEN": sandbox.bot_token,
        "SLACK_APP_TOKEN": sandbox.app_token,
    }

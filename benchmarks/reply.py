"""Time from an envelope to the posted reply: `python -m benchmarks.reply`, or `make bench-reply`.

The whole way is real: the sandbox's WebSocket, Bolt, the database on disk, the engine, the Web API. Rate limits are
off, and each answer has exactly as many tokens as asked for.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from app import generation, logs, main, sandbox, settings
from app.ports import Generator, Order, Voice, Written
from app.sandbox import NO_LIMITS, Sandbox

PROMPT = "@millzbot the best thing about mondays is"
WARM_UP = 3


@dataclass(frozen=True)
class FixedLength:
    """A generator whose texts are all equally long, and count as finished."""

    inner: Generator
    tokens: int

    @property
    def voice(self) -> Voice:
        """The inner one's."""
        return self.inner.voice

    async def write(self, order: Order, asker: str = "") -> Written:
        """So many tokens, whatever they are."""
        fixed = replace(order, stop=(), sampling=replace(order.sampling, max_tokens=self.tokens))
        return replace(await self.inner.write(fixed, asker), finish="stop")


async def measure(rounds: int, tokens: int) -> list[float]:
    """Seconds of each round, after a warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox.serve(port=0, limits=NO_LIMITS) as local:
            chosen = main.wire(settings.read(millzbot_data=Path(folder)), local)
            async with (
                generation.running(chosen) as writer,
                main.assemble(chosen, generator=FixedLength(writer, tokens)) as bot,
                main.opened(bot),
            ):
                return [await _round(local) for _ in range(WARM_UP + rounds)][WARM_UP:]


async def _round(local: Sandbox) -> float:
    begin = time.perf_counter()
    ts = await local.say(local.channel("general"), PROMPT)
    await local.until(lambda: len(local.messages(local.channel("general"), thread_ts=ts)) > 1)
    return time.perf_counter() - begin


def report() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time from an envelope to the posted reply.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=30)
    given = parser.parse_args()
    logs.configure(level="ERROR")
    times = sorted(1000 * second for second in asyncio.run(measure(given.rounds, given.tokens)))
    print(  # noqa: T201 - this is what it is for
        f"envelope to reply, {given.tokens} tokens, {len(times)} rounds: median {statistics.median(times):.1f} ms, "
        f"90 % under {times[int(0.9 * len(times))]:.1f} ms, {times[0]:.1f} to {times[-1]:.1f} ms"
    )


if __name__ == "__main__":
    report()

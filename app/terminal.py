"""What commands share: an option, a text that a terminal may show, the bot's core for as long as a command needs it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app import settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.main import Core

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")]


def with_core(work: "Callable[[Core], Awaitable[Result]]") -> Result:
    """What the work gives, done with the database and the engine at hand."""
    from app.main import assemble_core

    async def inside() -> Result:
        async with assemble_core(settings.read()) as core:
            return await work(core)

    return asyncio.run(inside())


def shown(text: str | None) -> str:
    """A stored text for a terminal: without what would steer it."""
    from app.moderation import neutral

    return "(erased)" if text is None else neutral(text)

"""The commands about the log: show, replay."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from app import logs, settings
from app.terminal import AsJson, shown, with_core

if TYPE_CHECKING:
    from app.audit import Line
    from app.db import Database

commands = typer.Typer(help="The log of all that was asked, made and said.", no_args_is_help=True)


@commands.command()
def show(
    *,
    surface: Annotated[str | None, typer.Option(help="mention, dm, command or cli.")] = None,
    person: Annotated[str | None, typer.Option(help="A Slack user id.")] = None,
    text: Annotated[str | None, typer.Option(help="A piece of what was asked or written.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Print the newest rows of the log, the newest first."""
    from app import audit as log

    database = _database()
    try:
        lines = database.read_now(log.page, surface=surface, person=person, text=text, limit=limit)
    finally:
        database.close()
    for line in lines:
        typer.echo(_as_json(line) if as_json else _as_words(line))


@commands.command()
def replay(
    generation: Annotated[int, typer.Argument(help="The number of a generation, as `audit show` prints it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a recorded text again and say whether it is the same; exit 1 where it is not."""
    logs.configure(level="WARNING")
    again = with_core(lambda core: core.gate.replay(generation))
    if as_json:
        typer.echo(json.dumps({"same": again.same, "stored": again.stored, "again": again.again}))
    else:
        typer.echo(f"stored: {shown(again.stored)}\nagain:  {shown(again.again)}")
        typer.echo("the same" if again.same else "not the same")
    raise typer.Exit(0 if again.same else 1)


def _database() -> "Database":
    from app.db import Database

    database = Database(settings.read().database)
    database.migrate()
    return database


def _as_json(line: "Line") -> str:
    return json.dumps({"seq": line.seq, **line.body, "text": line.text})


def _as_words(line: "Line") -> str:
    about = [line.subject.surface, line.subject.person]
    if line.subject.generation_id:
        about.append(f"generation {line.subject.generation_id}")
    words = line.body.get("notice") or line.text
    told = f"  {shown(words)}" if words else ""
    return f"{line.seq:>6}  {line.at:%Y-%m-%d %H:%M:%S}  {line.event:<10} {' '.join(filter(None, about))}{told}"

"""Commands for people: each is one function, and imports what it needs when it is called."""

import asyncio
import hashlib
import json
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, TypeVar

import typer

from app import logs, settings
from app.errors import MillzbotError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.audit import Line
    from app.db import Database
    from app.gate import Answer, Tried
    from app.main import Bot, Core
    from app.ports import Sampling
    from app.sandbox import Sandbox

app = typer.Typer(
    help="A Slack bot that talks in one person's voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model = typer.Typer(help="The model that is served.", no_args_is_help=True)
audit = typer.Typer(help="The log of all that was asked, made and said.", no_args_is_help=True)
app.add_typer(model, name="model")
app.add_typer(audit, name="audit")

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")]


def main() -> None:
    """Run the command line; exit 1 with a sentence on stderr where something is refused."""
    try:
        app()
    except MillzbotError as error:
        _fail(str(error))
    except Exception as error:  # noqa: BLE001 - whoever runs this is not to read a traceback
        report = Path("millzbot-crash.log").absolute()
        report.write_text(logs.redact(traceback.format_exc()), encoding="utf-8")
        _fail(f"something broke that should not have ({type(error).__name__}). {report} says where; please report it.")


@app.command()
def run(
    *, sandbox: Annotated[bool, typer.Option("--sandbox", help="Use the local workspace, not Slack.")] = False
) -> None:
    """Start the bot: in Slack where its tokens are set, else in a local workspace in the browser."""
    logs.configure()
    chosen = settings.read()
    use_sandbox = settings.choose_sandbox(chosen, forced=sandbox)
    from app.main import run as serve

    asyncio.run(serve(chosen, use_sandbox=use_sandbox, announce=_announce))


@app.command()
def generate(
    *,
    prompt: Annotated[str, typer.Option(help="How the post begins.")] = "",
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many texts.")] = 1,
    length: Annotated[int, typer.Option(min=1, help="Longest text, in tokens.")] = 100,
    temperature: Annotated[float, typer.Option(min=0.0, max=10.0, help="0 takes the likeliest token.")] = 0.9,
    top_k: Annotated[int, typer.Option(min=0, help="Of the k likeliest tokens only; 0 is all.")] = 0,
    top_p: Annotated[float, typer.Option(min=0.001, max=1.0, help="Of the likeliest that make up p.")] = 0.7,
    seed: Annotated[int | None, typer.Option(min=0, help="The first text's seed; the next one's is one more.")] = None,
    as_json: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt as it stands, unjudged.")] = False,
) -> None:
    """Write texts here, as the bot would; they go into the log, too."""
    from app.ports import Sampling

    logs.configure(level="WARNING")
    sampling = Sampling(temperature, top_k, top_p, length)
    seeds = [None if seed is None else seed + number for number in range(count)]
    write = _generate_raw if raw else _generate
    _with_core(lambda core: write(core, prompt, sampling, seeds, as_json=as_json))


@model.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="A gpt-2-simple run folder or a Hugging Face GPT-2 folder.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the artifact; by default in MILLZBOT_DATA.")] = None,
    bits: Annotated[Literal["8", "32"], typer.Option(help="32 is for checks.")] = "8",
    persona: Annotated[str, typer.Option(help="Whose voice it is, as people shall read it.")] = "an unknown person",
    consent: Annotated[Path | None, typer.Option(help="The consent record of the person.")] = None,
    invented: Annotated[bool, typer.Option("--invented", help="The voice is nobody's.")] = False,
) -> None:
    """Build the artifact that is served from a fine-tuned checkpoint."""
    from model import artifact
    from model.checkpoint import CheckpointError

    voice = _voice(consent, invented=invented)
    try:
        target = out or settings.read().millzbot_data / "models" / artifact.source_digest(path)[:16]
        built = artifact.build(
            path, target, bits=8 if bits == "8" else 32, persona=persona, voice=voice, made_at=datetime.now(UTC)
        )
    except (CheckpointError, artifact.ArtifactError) as error:
        raise MillzbotError(str(error)) from error
    typer.echo(f"{built.folder}\nartifact {built.digest}\nvoice {voice}")


@audit.command()
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


@audit.command()
def replay(
    generation: Annotated[int, typer.Argument(help="The number of a generation, as `audit show` prints it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a recorded text again and say whether it is the same; exit 1 where it is not."""
    logs.configure(level="WARNING")
    again = _with_core(lambda core: core.gate.replay(generation))
    if as_json:
        typer.echo(json.dumps({"same": again.same, "stored": again.stored, "again": again.again}))
    else:
        typer.echo(f"stored: {_shown(again.stored)}\nagain:  {_shown(again.again)}")
        typer.echo("the same" if again.same else "not the same")
    raise typer.Exit(0 if again.same else 1)


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Look at everything that the bot needs, and say what is wrong; exit 1 where it could not run."""
    from app import doctor as examination

    logs.configure(level="ERROR")
    findings = asyncio.run(examination.examine())
    for finding in findings:
        mark = {"ok": "✓", "warning": "!", "fault": "✗"}[finding.verdict]
        typer.echo(json.dumps(vars(finding)) if as_json else f"{mark} {finding.what}: {finding.said}")
    raise typer.Exit(1 if any(finding.verdict == "fault" for finding in findings) else 0)


def _announce(bot: "Bot", local: "Sandbox | None") -> None:
    if local is None:
        typer.echo(f"millzbot is ready in {bot.identity.url}: mention it, or type /millz. Ctrl-C stops it.")
    else:
        typer.echo(f"millzbot is ready. Open {local.page_url} and mention @millzbot. Ctrl-C stops it.")
    sys.stdout.flush()


async def _generate(core: "Core", prompt: str, sampling: "Sampling", seeds: list[int | None], *, as_json: bool) -> None:
    from app.gate import Wish
    from app.mentions import prompt_of

    for seed in seeds:
        answer = await core.gate.answer(Wish(prompt_of(prompt), "cli", "cli"), sampling, seed)
        _print_answer(answer, as_json=as_json)


async def _generate_raw(
    core: "Core", prompt: str, sampling: "Sampling", seeds: list[int | None], *, as_json: bool
) -> None:
    from app.gate import Wish

    for seed in seeds:
        _print_text(await core.gate.raw(Wish(prompt, "cli", "cli"), sampling, seed), as_json=as_json)


def _print_answer(answer: "Answer | None", *, as_json: bool) -> None:
    if answer is None:
        raise MillzbotError("The model came up with nothing that may be shown: try another --prompt or --seed.")
    _print_text(answer.tried, as_json=as_json, text=answer.whole.text)


def _print_text(tried: "Tried", *, as_json: bool, text: str | None = None) -> None:
    written = tried.written
    shown = written.text if text is None else text
    row = {"text": shown, "tokens": written.tokens, "seed": tried.order.seed, "finish": written.finish}
    typer.echo(json.dumps(row) if as_json else _shown(shown))


def _with_core(work: "Callable[[Core], Awaitable[Result]]") -> Result:
    from app.main import assemble_core

    async def inside() -> Result:
        async with assemble_core(settings.read()) as core:
            return await work(core)

    return asyncio.run(inside())


def _database() -> "Database":
    from app.db import Database

    database = Database(settings.read().database)
    database.migrate()
    return database


def _voice(consent: Path | None, *, invented: bool) -> str:
    """What the manifest says of the voice: the consent record's digest, `invented` or `unknown`."""
    if consent and invented:
        raise MillzbotError("A voice is either a person's, with --consent FILE, or --invented: give one of the two.")
    if consent is None:
        return "invented" if invented else "unknown"
    try:
        return hashlib.sha256(consent.read_bytes()).hexdigest()
    except OSError as error:
        raise MillzbotError(f"The consent record {consent} cannot be read: {error.strerror}.") from None


def _as_json(line: "Line") -> str:
    return json.dumps({"seq": line.seq, **line.body, "text": line.text})


def _as_words(line: "Line") -> str:
    about = [line.subject.surface, line.subject.person]
    if line.subject.generation_id:
        about.append(f"generation {line.subject.generation_id}")
    words = line.body.get("notice") or line.text
    told = f"  {_shown(words)}" if words else ""
    return f"{line.seq:>6}  {line.at:%Y-%m-%d %H:%M:%S}  {line.event:<10} {' '.join(filter(None, about))}{told}"


def _shown(text: str | None) -> str:
    """A stored text for a terminal: without what would steer it."""
    from app.moderation import neutral

    return "(erased)" if text is None else neutral(text)


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"millzbot: {logs.redact(sentence)}", err=True)
    sys.exit(1)

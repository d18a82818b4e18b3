"""Commands for people: each is one function, and imports what it needs when it is called."""

import asyncio
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app import cli_audit, cli_model, logs, settings
from app.errors import MillzbotError
from app.ports import Sampling
from app.terminal import AsJson, shown, with_core

if TYPE_CHECKING:
    from app.gate import Answer, Tried
    from app.main import Bot, Core
    from app.sandbox import Sandbox

app = typer.Typer(
    help="A Slack bot that talks in one person's voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_model.commands, name="model")
app.add_typer(cli_audit.commands, name="audit")


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
    length: Annotated[int, typer.Option(min=1, help="Longest text, in tokens.")] = Sampling.max_tokens,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=10.0, help="0 takes the likeliest token.")
    ] = Sampling.temperature,
    top_k: Annotated[int, typer.Option(min=0, help="Of the k likeliest tokens only; 0 is all.")] = Sampling.top_k,
    top_p: Annotated[float, typer.Option(min=0.001, max=1.0, help="Of the likeliest that make up p.")] = Sampling.top_p,
    seed: Annotated[int | None, typer.Option(min=0, help="The first text's seed; the next one's is one more.")] = None,
    as_json: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt as it stands, unjudged.")] = False,
) -> None:
    """Write texts here, as the bot would; they go into the log, too."""
    logs.configure(level="WARNING")
    sampling = Sampling(temperature, top_k, top_p, length)
    seeds = [None if seed is None else seed + number for number in range(count)]
    write = _generate_raw if raw else _generate
    with_core(lambda core: write(core, prompt, sampling, seeds, as_json=as_json))


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


async def _generate(core: "Core", prompt: str, sampling: Sampling, seeds: list[int | None], *, as_json: bool) -> None:
    from app.gate import Wish
    from app.mentions import prompt_of

    for seed in seeds:
        answer = await core.gate.answer(Wish(prompt_of(prompt), "cli", "cli"), sampling, seed)
        _print_answer(answer, as_json=as_json)


async def _generate_raw(
    core: "Core", prompt: str, sampling: Sampling, seeds: list[int | None], *, as_json: bool
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
    said = written.text if text is None else text
    row = {"text": said, "tokens": written.tokens, "seed": tried.order.seed, "finish": written.finish}
    typer.echo(json.dumps(row) if as_json else shown(said))


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"millzbot: {logs.redact(sentence)}", err=True)
    sys.exit(1)

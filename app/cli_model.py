"""The commands about models: import, check, tune."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from app import settings
from app.errors import MillzbotError

commands = typer.Typer(help="The model that is served.", no_args_is_help=True)

BITS: dict[str, Literal[4, 8, 32]] = {"4": 4, "8": 8, "32": 32}


@commands.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="A gpt-2-simple run folder or a Hugging Face GPT-2 folder.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the artifact; by default in MILLZBOT_DATA.")] = None,
    bits: Annotated[Literal["4", "8", "32"], typer.Option(help="4 is smaller and worse, 32 is for checks.")] = "8",
    persona: Annotated[str, typer.Option(help="Whose voice it is, as people shall read it.")] = "an unknown person",
    consent: Annotated[Path | None, typer.Option(help="The consent record of the person.")] = None,
    invented: Annotated[bool, typer.Option("--invented", help="The voice is nobody's.")] = False,
) -> None:
    """Build the artifact that is served from a fine-tuned checkpoint."""
    from app import generation
    from model import artifact
    from model.checkpoint import CheckpointError

    voice = _voice(consent, invented=invented)
    try:
        target = out or generation.models_in(settings.read()) / artifact.kept_name(path)
        built = artifact.build(path, target, bits=BITS[bits], persona=persona, voice=voice, made_at=datetime.now(UTC))
    except (CheckpointError, artifact.ArtifactError) as error:
        raise MillzbotError(str(error)) from error
    typer.echo(f"{built.folder}\nartifact {built.digest}\nvoice {voice}")


@commands.command()
def check(
    path: Annotated[Path | None, typer.Argument(help="An artifact; by default the one that is served.")] = None,
    *,
    against: Annotated[Path | None, typer.Option(help="The same model in 32 bits: says what rounding costs.")] = None,
    text: Annotated[Path | None, typer.Option(help="A text file of the voice's posts, for --against.")] = None,
) -> None:
    """Probe whether texts are repeatable on this machine, and what rounding costs; exit 1 where they are not."""
    from app import generation
    from model import check as probe

    if (against is None) != (text is None):
        raise MillzbotError("--against and --text go together: two artifacts are compared on a text.")
    chosen = settings.read()
    artifact = generation.served(chosen, path)
    threads = generation.threads(chosen, artifact)
    uneven = probe.uneven_batches(artifact, threads=threads)
    typer.echo(f"repeatable: {f'not in batches of {uneven}' if uneven else 'yes'}")
    if against and text:
        try:
            found = probe.cost(artifact, generation.served(chosen, against), text.read_text("utf-8"), threads=threads)
        except (OSError, UnicodeDecodeError, probe.CheckError) as error:
            raise MillzbotError(f"{text}: {error}") from error
        typer.echo(
            f"{artifact.manifest.bits} bits: loss {found.loss:.4f} nats a token, against {found.other_loss:.4f}; the same "
            f"likeliest token at {found.same_token:.1%} of {found.tokens} places; divergence {found.divergence:.5f} nats"
        )
    raise typer.Exit(1 if uneven else 0)


@commands.command()
def tune(
    path: Annotated[Path | None, typer.Argument(help="An artifact; by default the one that is served.")] = None,
) -> None:
    """Measure how many threads suit an artifact on this machine, and keep that for the next start."""
    from app import generation
    from model import tune as tuning

    chosen = settings.read()
    artifact = generation.served(chosen, path)
    speeds = tuning.measure(artifact, cores=os.cpu_count() or 1)
    for speed in speeds:
        rows = ", ".join(
            f"{rows} rows {rows * each:.0f} tokens a second" for rows, each in speed.steps_a_second.items()
        )
        typer.echo(f"{speed.threads} threads: {rows}")
    tuned = tuning.choose(speeds)
    note = tuning.keep(tuned, generation.tuned_in(chosen), artifact)
    typer.echo(f"{tuned.threads} threads it is; {note} says so to the next start.")


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

"""The recipe of the demo checkpoint: `python -m training.demo --out checkpoint/demo`.

It expands the invented persona's posts, trains a vocabulary on them, draws a random GPT-2 and hands all
three to `gpt_2_simple.finetune`, which leaves a run folder in its own layout. From one seed, the posts, the
vocabulary, the random start and the order of the training windows are the same on every machine. The trained
weights are not bit-reproducible: TensorFlow adds floats in an order that depends on the number of threads and
the processor, and the difference grows with every step. Two runs speak alike, but not word for word.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from training.corpus import as_trained, write_csv
from training.persona import grammar
from training.untrained import Shape, write_untrained
from training.vocabulary import LEAST_SIZE, VocabularyError, train_vocabulary

# finetune has one constant rate, so it is called once for each part: (share of the steps, learning rate).
# A random start needs ten times the usual rate; the slower ends settle what the fast part left noisy.
RATES = ((0.6, 1e-3), (0.25, 3e-4), (0.15, 1e-4))


class RecipeError(Exception):
    """The run cannot start, or was stopped; the message says what to do."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the checkpoint: `batch` windows of 1,024 tokens are read in each of `steps` steps."""

    steps: int = 1500
    seed: int = 20
    posts: int = 30_000
    vocabulary: int = 2000
    layers: int = 4
    width: int = 256
    heads: int = 4
    batch: int = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the recipe from the command line: 0 done, 1 refused or stopped with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m training.demo", description="Train the demo checkpoint.")
    parser.add_argument("--out", type=Path, required=True, help="run folder to make, for instance checkpoint/demo")
    for name, default in vars(Recipe()).items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    options = vars(parser.parse_args(arguments))
    out = options.pop("out")
    try:
        train(out, Recipe(**options))
    except (RecipeError, VocabularyError, grammar.PersonaError) as error:
        fault = str(error)
    except ModuleNotFoundError as error:
        fault = f"{error.name} is not installed; make setup installs what training needs"
    except OSError as error:
        fault = f"{out} cannot be written: {error}"
    except KeyboardInterrupt:
        fault = "interrupted before training began"
    else:
        return 0
    sys.stderr.write(f"{fault}\n")
    return 1


def train(out: Path, recipe: Recipe) -> None:
    """Make the run folder `out` by the recipe.

    Raises RecipeError where `out` already holds a run, the shape cannot be, or training was interrupted.
    """
    _check(out, recipe)
    posts = grammar.posts(grammar.read_grammar(), count=recipe.posts, seed=recipe.seed)
    _say(f"{len(posts)} posts, for instance: {posts[0]}")
    vocabulary = train_vocabulary(map(as_trained, posts), recipe.vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        models, dataset = Path(scratch, "models"), Path(scratch, "posts.csv")
        write_csv(posts, dataset)
        shape = Shape(recipe.vocabulary, n_embd=recipe.width, n_head=recipe.heads, n_layer=recipe.layers)
        weights = write_untrained(models / "untrained", vocabulary, shape, seed=recipe.seed)
        _say(f"{weights:,} weights, {recipe.steps} steps of {recipe.batch} windows")
        _finetune(out, recipe, models, dataset)
    _say(f"the run is in {out}")


def _check(out: Path, recipe: Recipe) -> None:
    if (out / "checkpoint").exists():
        raise RecipeError(f"{out} already holds a run; remove it or choose another --out")
    # With its markers a post has seven tokens at least, so 300 posts always fill a window of 1,024.
    least = Recipe(steps=len(RATES), seed=0, posts=300, vocabulary=LEAST_SIZE, layers=1, width=1, heads=1, batch=1)
    for name, number in vars(least).items():
        if getattr(recipe, name) < number:
            raise RecipeError(f"--{name} {getattr(recipe, name)} is too small; it must be at least {number}")
    if recipe.width % (2 * recipe.heads):
        raise RecipeError(f"--width {recipe.width} must be a multiple of {2 * recipe.heads}, twice --heads")


def _finetune(out: Path, recipe: Recipe, models: Path, dataset: Path) -> None:
    import gpt_2_simple  # noqa: PLC0415 - takes seconds, and turns off eager execution for the whole process

    done = 0
    for part, (share, rate) in enumerate(RATES):
        last = part == len(RATES) - 1
        steps = recipe.steps - done if last else max(1, int(share * recipe.steps))
        _say(f"part {part + 1} of {len(RATES)}: {steps} steps at learning rate {rate}")
        random.seed(recipe.seed + part)  # gpt-2-simple draws its windows from this stream
        session = gpt_2_simple.start_tf_sess()
        gpt_2_simple.finetune(
            session,
            str(dataset),
            steps=steps,
            model_name="untrained",
            model_dir=str(models),
            run_name=out.name,
            checkpoint_dir=str(out.parent),
            batch_size=recipe.batch,
            learning_rate=rate,
            accumulate_gradients=1,
            overwrite=True,
            sample_every=sys.maxsize,
            save_every=sys.maxsize,
            print_every=10,
        )
        gpt_2_simple.reset_session(session).close()
        done += steps
        reached = int((out / "counter").read_text())
        if reached < done:
            raise RecipeError(f"stopped at step {reached} of {recipe.steps}; what was learned until then is in {out}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

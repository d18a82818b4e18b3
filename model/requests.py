"""A request to the engine: what may be asked, what comes of it, and why nothing may come of it."""

import math
from dataclasses import dataclass
from typing import Final, Literal

from model.tokenizer import without_surrogates


class EngineError(Exception):
    """No completion; the text says why.

    EngineError
    ├── BadRequest         the caller: a parameter that cannot be used
    │   └── PromptTooLong  the caller: the context has no room for it
    ├── QueueFull          the caller: come back in so many seconds
    ├── DeadlineExceeded   the caller: it took too long
    ├── EngineClosed       the caller: the process is stopping
    └── EngineFailed       the operator: its cause is what went wrong
    """


class BadRequest(EngineError):  # noqa: N818 - the caller's fault, as HTTP says it
    """A parameter has a value that cannot be used."""

    def __init__(self, parameter: str, fault: str) -> None:
        super().__init__(f"{parameter} {fault}")
        self.parameter: Final = parameter


class PromptTooLong(BadRequest):
    """A prompt leaves too little room in the model's context."""


class QueueFull(EngineError):  # noqa: N818 - a state, not a fault
    """As many requests wait as may."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"Too many requests are waiting; try again in about {wait_seconds:.0f} s")
        self.wait_seconds: Final = wait_seconds


class DeadlineExceeded(EngineError):  # noqa: N818 - an outcome
    """A request was not done within its time."""


class EngineClosed(EngineError):  # noqa: N818 - a state
    """The engine takes no more requests, and gave up those that it had."""


class EngineFailed(EngineError):  # noqa: N818 - an outcome
    """Something unexpected went wrong."""


@dataclass(frozen=True)
class Request:
    """What to write, and for whom.

    The first eight decide the text: the same ones give the same text on the same artifact, alone or among others.
    """

    prompt: str
    max_tokens: int
    temperature: float  # 0: always the likeliest token
    top_k: int  # 0: all tokens
    top_p: float  # 1: all tokens
    seed: int  # 0 to 2**64 - 1
    stop: tuple[str, ...]  # texts that end the completion and are not part of it
    deadline_s: float  # seconds from now
    repetition_penalty: float = 1.0  # above 1: tokens that stand in the text already become less likely
    banned: frozenset[int] = frozenset()  # tokens that are never written
    asker: str = ""  # askers have equal shares of the engine
    background: bool = False  # comes after all requests that are not


@dataclass(frozen=True)
class Completion:
    """What follows the prompt."""

    text: str
    prompt_tokens: int
    tokens: int  # written, those of the stop text included
    finish: Literal["stop", "length"]
    milliseconds: float  # of work, without the time in the queue


def check(request: Request, *, n_ctx: int, n_vocab: int) -> None:
    """Raise BadRequest for the first parameter that is out of its range."""
    ranges: dict[str, tuple[bool, str]] = {
        "prompt": (request.prompt != "", "is empty"),
        "max_tokens": (1 <= request.max_tokens < n_ctx, f"is not from 1 to {n_ctx - 1}"),
        "temperature": (0 <= request.temperature < math.inf, "is not a number from 0 on"),
        "top_k": (request.top_k >= 0, "is less than 0"),
        "top_p": (0 < request.top_p <= 1, "is not above 0 and at most 1"),
        "seed": (0 <= request.seed < 2**64, "is not from 0 to 2**64 - 1"),
        "stop": (all(map(_is_text, request.stop)), "has an empty text, or half a character"),
        "deadline_s": (request.deadline_s > 0, "is not above 0"),
        "repetition_penalty": (0 < request.repetition_penalty < math.inf, "is not a number above 0"),
        "banned": (_leaves_some(request.banned, n_vocab), f"is not a part of the tokens 0 to {n_vocab - 1}"),
    }
    for parameter, (good, fault) in ranges.items():
        if not good:
            raise BadRequest(parameter, fault)


def _is_text(text: str) -> bool:
    return text != "" and without_surrogates(text) == text


def _leaves_some(banned: frozenset[int], n_vocab: int) -> bool:
    return len(banned) < n_vocab and all(0 <= token < n_vocab for token in banned)

"""Slack's way of saying no."""

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the sandbox
    """A call or a request is refused: Slack's word for why, and what it adds to the answer."""

    def __init__(self, error: str, *messages: str, **details: Any) -> None:
        super().__init__(error)
        self.error = error
        self.details = details | ({"response_metadata": {"messages": list(messages)}} if messages else {})

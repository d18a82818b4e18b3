"""The format of the process's log, and what never gets into it."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRETS = re.compile(
    r"xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+|Bearer\s+[\w.~+/=-]+"
    r"|(?<=/link/\?)[^\s\"']+|(?<=/commands/)[^\s\"']+|(?<=/actions/)[^\s\"']+"
    r"|oauth_\w+=\"[^\"]*\"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
"""Tokens of Slack, bearer and OAuth credentials, one-time socket and response addresses, passwords in addresses."""

Event = MutableMapping[str, Any]


def configure(*, level: str = "INFO", json: bool | None = None) -> None:
    """Send structlog's and the standard library's records to stderr, redacted; JSON unless a person watches."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(as_json)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING")  # it tells of every start


def get(name: str) -> Any:
    """The log of one module."""
    return structlog.stdlib.get_logger(name)


def redact(text: str) -> str:
    """The text with every secret that has a known shape taken out."""
    return SECRETS.sub("[redacted]", text)


def _rendering(as_json: bool) -> list[Any]:  # noqa: FBT001 - a choice of two renderers
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_event,
        last,
    ]


def _redact_event(_logger: object, _method: str, event: Event) -> Event:
    return {key: _redact_value(value) for key, value in event.items()}


def _redact_value(value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    return redact(value if isinstance(value, str) else repr(value))

"""One call of the Web API: its arguments, and what a method works with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.sandbox import workspace
from app.sandbox.refusals import Refusal
from app.sandbox.response_urls import ResponseUrls
from app.sandbox.sockets import Sockets
from app.sandbox.views import Views
from app.sandbox.workspace import Channel, Workspace

Json = dict[str, Any]
Arguments = Mapping[str, Any]

MOST_LEVELS = 40


@dataclass(frozen=True)
class Slack:
    """All that methods and people work with; `root` is the sandbox's own address, ending in a slash."""

    space: Workspace
    views: Views
    sockets: Sockets
    response_urls: ResponseUrls
    root: str


@dataclass(frozen=True)
class Call:
    """A call that was made, for the tests: when it came (seconds since 1970), and what it got.

    `status` is the HTTP status, 0 where the connection was cut; `error` is Slack's word, empty when ok.
    """

    method: str
    arguments: Json
    at: float
    status: int
    error: str = ""


def string(arguments: Arguments, name: str) -> str:
    """An argument as text; empty when it is not there."""
    value = arguments.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refusal("invalid_arguments", f"[ERROR] must be a string [json-pointer:/{name}]")
    return str(value)


def required(arguments: Arguments, name: str) -> str:
    """An argument that Slack insists on."""
    value = string(arguments, name)
    if not value:
        raise Refusal("invalid_arguments", f"[ERROR] missing required field: {name}")
    return value


def flag(arguments: Arguments, name: str) -> bool | None:
    """A yes or no in any of the ways in which clients write one; None when it is not there."""
    value = arguments.get(name)
    return None if value is None else str(value).lower() in ("1", "true")


def decoded(arguments: Arguments, name: str, error: str) -> Any:
    """An argument that is JSON: given as such, or as the text of a form."""
    value = arguments.get(name)
    try:
        value = json.loads(value or "null") if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise Refusal(error) from None
    if _is_deep(value):
        raise Refusal(error, f"[ERROR] nested too deeply [json-pointer:/{name}]")
    return value


def channel(slack: Slack, arguments: Arguments, name: str = "channel") -> Channel:
    """The channel that an argument names: by id, by #name, or by the id of the person whose conversation it is."""
    wanted = string(arguments, name)
    for one in slack.space.channels.values():
        names = one.members - {workspace.BOT} if one.is_im else {one.name, f"#{one.name}"}
        if wanted == one.id or wanted in names:
            return one
    raise Refusal("channel_not_found")


def joined(slack: Slack, arguments: Arguments, name: str = "channel") -> Channel:
    """The same, where the bot is a member."""
    found = channel(slack, arguments, name)
    if not slack.space.bot_is_in(found.id):
        raise Refusal("not_in_channel")
    return found


def needs(slack: Slack, scope: str) -> None:
    """Refuse where the app was not granted a scope."""
    granted = slack.space.app.scopes
    if scope not in granted:
        raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(granted)))


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        lists = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for one in lists for inner in one]
    return bool(level)

"""Slack's words into ours: envelopes to asks, and the listeners that pass them on."""

import hashlib
import html
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext

from app.inbox import Other
from app.ports import Ask, Place

HELP_WORD = "help"
PERSONS_WORDS = (None, "thread_broadcast", "file_share")
"""Subtypes of messages that a person wrote; all others are edits, deletions, joins and other bots."""

MARKUP = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
ANYTHING = re.compile("")

Body = Mapping[str, Any]


class Receiver(Protocol):
    """Who takes what has come in."""

    async def receive(self, envelope: Ask | Other) -> bool:
        """Commit an envelope; False where it has been here before."""

    def take(self, ask: Ask) -> None:
        """Begin to answer."""


def register(app: AsyncApp, receiver: Receiver, *, team: str, bot: str, help_text: str) -> None:
    """Wire a Bolt app: a global middleware commits every envelope, and listeners begin the work.

    Bolt runs global middleware before it acknowledges an event by itself, and a command is acknowledged by its
    listener; so an envelope whose commit fails is not acknowledged, and Slack delivers it again.
    """

    @app.middleware
    async def commit(body: Body, context: AsyncBoltContext, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002 - Bolt passes arguments by these names
        envelope = read(body, team=team, bot=bot)
        is_new = await receiver.receive(envelope)
        context["ask"] = envelope if is_new and isinstance(envelope, Ask) else None
        await next()

    async def take(context: AsyncBoltContext) -> None:
        if context["ask"] is not None:
            receiver.take(context["ask"])

    @app.command("/millz")
    async def command(ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        await ack(help_text if asks_for_help(body) else "")
        await take(context)

    # What nobody listens to is not acknowledged, and Slack would send it again and tell the person that it failed.
    app.event(ANYTHING)(take)
    for listen in (app.action, app.view, app.shortcut, app.options):
        listen(ANYTHING)(_acknowledge)


def read(body: Body, *, team: str, bot: str) -> Ask | Other:
    """What an envelope's payload asks of the bot, if anything."""
    if "command" in body:
        return _read_command(body)
    if body.get("type") == "event_callback":
        return _read_event(body, team=team, bot=bot)
    return Other(f"{_team(body)}/{body.get('type')}/{body.get('trigger_id') or _digest(body)}", str(body.get("type")))


def asks_for_help(body: Body) -> bool:
    """Whether a command's words are the one word help."""
    return str(body.get("text", "")).strip().lower() == HELP_WORD


def plain(text: str, bot: str) -> str:
    """The words of a message as its writer saw them: the bot's mention taken out, markup and entities resolved."""

    def shown(match: re.Match[str]) -> str:
        kind, target, label = match.groups()
        if kind == "@" and target == bot:
            return " "
        return label or {"": target.removeprefix("mailto:")}.get(kind, "")

    return html.unescape(MARKUP.sub(shown, text)).strip()


async def _acknowledge(ack: AsyncAck) -> None:
    await ack()


def _read_command(body: Body) -> Ask | Other:
    key = f"{_team(body)}/command/{body['trigger_id']}"
    if asks_for_help(body):
        return Other(key, "help")
    place = Place(body["channel_id"], response_url=body["response_url"])
    # The manifest has Slack escape a command's words, so that they read like a message's.
    return Ask(key, None, "command", body["user_id"], place, plain(body.get("text", ""), bot=""))


def _read_event(body: Body, *, team: str, bot: str) -> Ask | Other:
    event = body["event"]
    key = f"{_team(body)}/{body['event_id']}"
    surface = _surface(event)
    if surface is None or not _is_a_persons(event, bot) or event.get("team", team) != team or _team(body) != team:
        return Other(key, str(event.get("type")))
    place = Place(event["channel"], thread_ts=event.get("thread_ts") or event["ts"])
    message = f"{team}/{event['channel']}/{event['ts']}"
    return Ask(key, message, surface, event["user"], place, plain(event.get("text", ""), bot))


def _surface(event: Body) -> Literal["mention", "dm"] | None:
    if event.get("type") == "app_mention":
        return "mention"
    return "dm" if event.get("type") == "message" and event.get("channel_type") == "im" else None


def _is_a_persons(event: Body, bot: str) -> bool:
    """Whether a person has just written this: no bot, no edit. Answering bots makes two of them talk for ever."""
    return (
        event.get("subtype") in PERSONS_WORDS
        and not event.get("bot_id")
        and not event.get("edited")
        and event.get("user") not in (None, bot)
    )


def _team(body: Body) -> str:
    team = body.get("team_id") or (body.get("team") or {}).get("id") or body.get("enterprise_id")
    return str(team)


def _digest(body: Body) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()

"""The methods about channels and people: conversations.*, users.info."""

from collections.abc import Sequence
from typing import Any, TypeVar

from app.sandbox import calls, envelopes, workspace
from app.sandbox.calls import Arguments, Slack
from app.sandbox.refusals import Refusal
from app.sandbox.workspace import Channel, Message

Json = dict[str, Any]
T = TypeVar("T")

PAGE = 100
MOST = 1000


async def info(slack: Slack, arguments: Arguments) -> Json:
    """conversations.info."""
    where = calls.channel(slack, arguments)
    _needs(slack, where, "read")
    return {"channel": _channel_json(where)}


async def replies(slack: Slack, arguments: Arguments) -> Json:
    """conversations.replies: a message and its replies, oldest first."""
    where = calls.joined(slack, arguments)
    _needs(slack, where, "history")
    found = slack.space.find(where.id, calls.string(arguments, "ts"))
    if found is None or found.ephemeral:
        raise Refusal("thread_not_found")
    said = slack.space.messages(where.id, thread_ts=found.thread_ts or found.ts)
    return _messages(slack, [one for one in said if not one.ephemeral], arguments)


async def history(slack: Slack, arguments: Arguments) -> Json:
    """conversations.history: what stands in a channel outside of threads, newest first."""
    where = calls.joined(slack, arguments)
    _needs(slack, where, "history")
    said = slack.space.messages(where.id)
    return _messages(slack, [one for one in reversed(said) if not one.ephemeral and not one.thread_ts], arguments)


async def open_im(slack: Slack, arguments: Arguments) -> Json:
    """conversations.open, for one person."""
    calls.needs(slack, "im:write")
    users = calls.required(arguments, "users").split(",")
    channel = slack.space.dm_of(users[0])
    if len(users) > 1 or channel is None or users[0] == workspace.BOT:
        raise Refusal("user_not_found")
    return {"channel": {"id": channel.id}, "no_op": True, "already_open": True}


async def members(slack: Slack, arguments: Arguments) -> Json:
    """conversations.members."""
    where = calls.channel(slack, arguments)
    _needs(slack, where, "read")
    some, more = _page(sorted(where.members), arguments)
    return {"members": some, **more}


async def list_channels(slack: Slack, arguments: Arguments) -> Json:
    """conversations.list, public channels."""
    calls.needs(slack, "channels:read")
    public = [_channel_json(one) for one in slack.space.channels.values() if not one.is_im]
    some, more = _page(public, arguments)
    return {"channels": some, **more}


async def user_info(slack: Slack, arguments: Arguments) -> Json:
    """users.info."""
    calls.needs(slack, "users:read")
    user = slack.space.users.get(calls.required(arguments, "user"))
    if user is None:
        raise Refusal("user_not_found")
    name = user.name.lower()
    profile = {"display_name": name, "real_name": user.name, "bot_id": user.bot_id}
    flags = {"is_bot": bool(user.bot_id), "is_admin": False, "is_owner": False, "is_restricted": False}
    named = {"id": user.id, "team_id": workspace.TEAM, "name": name, "real_name": user.name}
    return {"user": {**named, **flags, "tz": "Europe/London", "deleted": False, "profile": profile}}


def _needs(slack: Slack, where: Channel, scope: str) -> None:
    calls.needs(slack, f"{'im' if where.is_im else 'channels'}:{scope}")


def _channel_json(channel: Channel) -> Json:
    shown = {"id": channel.id, "is_im": channel.is_im, "is_channel": not channel.is_im, "is_archived": False}
    if channel.is_im:
        return shown | {"user": next(iter(channel.members - {workspace.BOT}))}
    return shown | {"name": channel.name, "is_private": False, "is_member": workspace.BOT in channel.members}


def _messages(slack: Slack, said: Sequence[Message], arguments: Arguments) -> Json:
    some, more = _page(said, arguments)
    shown = [_with_replies(slack, one) for one in some]
    if not calls.flag(arguments, "include_all_metadata"):
        shown = [{key: value for key, value in one.items() if key != "metadata"} for one in shown]
    return {"messages": shown, "has_more": "response_metadata" in more, **more}


def _with_replies(slack: Slack, message: Message) -> Json:
    shown = envelopes.message_json(message)
    thread = slack.space.messages(message.channel, thread_ts=message.ts)
    answers = [one for one in thread if one.thread_ts == message.ts and not one.ephemeral]
    if not answers:
        return shown
    users = list(dict.fromkeys(one.user for one in answers))
    replies_of = {"reply_count": len(answers), "latest_reply": answers[-1].ts, "reply_users": users}
    return shown | {"thread_ts": message.ts, "reply_users_count": len(users)} | replies_of


def _page(everything: Sequence[T], arguments: Arguments) -> tuple[list[T], Json]:
    """One page of a list, and the cursor of the next."""
    limit, start = calls.string(arguments, "limit") or str(PAGE), calls.string(arguments, "cursor") or "0"
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
        raise Refusal("invalid_limit")
    if not start.isdecimal() or int(start) > len(everything):
        raise Refusal("invalid_cursor")
    end = int(start) + int(limit)
    more = {"response_metadata": {"next_cursor": str(end)}} if end < len(everything) else {}
    return list(everything[int(start) : end]), more

"""The payloads that Slack sends to an app, key for key."""

from typing import Any

from app.sandbox import workspace
from app.sandbox.views import View
from app.sandbox.workspace import Channel, Message, User, Workspace

Json = dict[str, Any]

DOMAIN = "sandbox"
TEAM = {"id": workspace.TEAM, "domain": DOMAIN}
COMMON = {"api_app_id": workspace.APP, "token": "legacy-verification", "team": TEAM}


def message_json(message: Message) -> Json:
    """A message as Slack shows it in answers and payloads."""
    shown: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts}
    shown |= {"team": workspace.TEAM, "blocks": list(message.blocks)}
    if message.bot_id:
        shown |= {
            "bot_id": message.bot_id,
            "app_id": workspace.APP if message.bot_id == workspace.BOT_ID else "A0OTHER",
        }
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if message.edited_ts:
        shown["edited"] = {"user": message.user, "ts": message.edited_ts}
    if message.metadata:
        shown["metadata"] = message.metadata
    if message.reactions:
        shown["reactions"] = _reactions(message)
    return shown


def app_mention(space: Workspace, message: Message) -> Json:
    """Somebody said @ and the bot's name in a channel."""
    event = {**message_json(message), "type": "app_mention", "channel": message.channel, "event_ts": message.ts}
    return _event(space, event | {"client_msg_id": space.next_id("msg-")})


def message_im(space: Workspace, message: Message) -> Json:
    """Something was said in a direct conversation with the bot."""
    event = {**message_json(message), "channel": message.channel, "channel_type": "im", "event_ts": message.ts}
    return _event(space, event | {"client_msg_id": space.next_id("msg-")})


def message_changed(space: Workspace, message: Message, previous: Message) -> Json:
    """A message of a direct conversation has a new text."""
    return _subtype(space, message.channel, "message_changed", message=message, previous_message=previous)


def message_deleted(space: Workspace, previous: Message) -> Json:
    """A message of a direct conversation was taken away."""
    event = _subtype(space, previous.channel, "message_deleted", previous_message=previous)
    event["event"]["deleted_ts"] = previous.ts
    return event


def app_home_opened(space: Workspace, user: str, tab: str, home: View | None) -> Json:
    """Somebody opened the Home tab ("home") or the messages ("messages") of the app."""
    channel = space.dm_of(user)
    event: Json = {"type": "app_home_opened", "user": user, "channel": channel.id if channel else "", "tab": tab}
    event["event_ts"] = space.next_ts()
    if home and tab == "home":
        event["view"] = home.as_json()
    return _event(space, event)


def slash_command(user: User, channel: Channel, command: str, text: str) -> Json:
    """Somebody typed a slash command; trigger_id and response_url are for the caller to add."""
    return {
        "token": COMMON["token"],
        "api_app_id": workspace.APP,
        "team_id": workspace.TEAM,
        "team_domain": DOMAIN,
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else channel.name,
        "user_id": user.id,
        "user_name": user.name.lower(),
        "command": command,
        "text": text,
        "is_enterprise_install": "false",
    }


def block_actions(user: User, action: Json) -> Json:
    """Somebody used a button or a menu; where, is for of_message() or of_view() to add."""
    return {
        "type": "block_actions",
        **COMMON,
        "user": _user(user),
        "enterprise": None,
        "is_enterprise_install": False,
        "actions": [action],
    }


def of_message(message: Message, channel: Channel) -> Json:
    """Where an action happened: on a message. Of an ephemeral one Slack gives the time stamp alone."""
    container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
    container["is_ephemeral"] = message.ephemeral
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    place: Json = {"container": container, "channel": _channel(channel), "state": {"values": {}}}
    return place if message.ephemeral else place | {"message": message_json(message)}


def of_view(view: View, state: Json) -> Json:
    """Where an action happened: in a modal or on the Home tab."""
    container = {"type": "view", "view_id": view.id}
    return {"container": container, "view": view.as_json(state)}


def view_submission(user: User, view: View, state: Json) -> Json:
    """Somebody sent a modal off."""
    shown = view.as_json(state)
    return {"type": "view_submission", **COMMON, "user": _user(user), "view": shown, "response_urls": []}


def view_closed(user: User, view: View, *, is_cleared: bool) -> Json:
    """Somebody closed a modal, or the whole stack of them."""
    return {"type": "view_closed", **COMMON, "user": _user(user), "view": view.as_json(), "is_cleared": is_cleared}


def message_action(user: User, callback_id: str, message: Message, channel: Channel) -> Json:
    """Somebody chose a shortcut of a message."""
    return {
        "type": "message_action",
        **COMMON,
        "user": _user(user),
        "callback_id": callback_id,
        "action_ts": message.ts,
        "message_ts": message.ts,
        "channel": _channel(channel),
        "message": message_json(message),
    }


def _event(space: Workspace, event: Json) -> Json:
    return {
        "token": COMMON["token"],
        "team_id": workspace.TEAM,
        "api_app_id": workspace.APP,
        "event": event,
        "type": "event_callback",
        "event_id": space.next_id("Ev"),
        "event_time": int(space.clock()),
        "event_context": space.next_id("4-"),
        "is_ext_shared_channel": False,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.TEAM,
                "user_id": workspace.BOT,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
    }


def _subtype(space: Workspace, channel: str, subtype: str, **messages: Message) -> Json:
    event: Json = {"type": "message", "subtype": subtype, "channel": channel, "channel_type": "im", "hidden": True}
    event["ts"] = event["event_ts"] = space.next_ts()
    return _event(space, event | {name: message_json(one) for name, one in messages.items()})


def _user(user: User) -> Json:
    name = user.name.lower()
    return {"id": user.id, "username": name, "name": name, "team_id": workspace.TEAM}


def _channel(channel: Channel) -> Json:
    return {"id": channel.id, "name": "directmessage" if channel.is_im else channel.name}


def _reactions(message: Message) -> list[Json]:
    names = dict.fromkeys(name for name, _ in message.reactions)
    users = {name: [who for other, who in message.reactions if other == name] for name in names}
    return [{"name": name, "users": who, "count": len(who)} for name, who in users.items()]

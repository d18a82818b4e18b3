"""Which methods there are, with which token, and the two that are about the app itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.sandbox import chat, conversations, modals, workspace
from app.sandbox.calls import Arguments, Slack

Json = dict[str, Any]
Work = Callable[[Slack, Arguments], Awaitable[Json]]


@dataclass(frozen=True)
class Method:
    """What a method does, and whether it wants the app's token in place of the bot's."""

    work: Work
    of_app: bool = False


async def test_auth(slack: Slack, arguments: Arguments) -> Json:  # noqa: ARG001 - it takes none
    """auth.test."""
    bot = slack.space.users[workspace.BOT]
    who = {"user": bot.name, "user_id": bot.id, "bot_id": bot.bot_id}
    where = {"url": slack.root, "team": "Sandbox", "team_id": workspace.TEAM}
    return {**where, **who, "is_enterprise_install": False}


async def open_connection(slack: Slack, arguments: Arguments) -> Json:  # noqa: ARG001 - it takes none
    """apps.connections.open: the address of one WebSocket."""
    address = slack.root.replace("http://", "ws://")
    return {"url": f"{address}link/?ticket={slack.sockets.new_ticket()}&app_id={workspace.APP}"}


METHODS = {
    "apps.connections.open": Method(open_connection, of_app=True),
    "assistant.threads.setStatus": Method(chat.set_status),
    "auth.test": Method(test_auth),
    "chat.delete": Method(chat.delete),
    "chat.getPermalink": Method(chat.get_permalink),
    "chat.postEphemeral": Method(chat.post_ephemeral),
    "chat.postMessage": Method(chat.post_message),
    "chat.update": Method(chat.update),
    "conversations.history": Method(conversations.history),
    "conversations.info": Method(conversations.info),
    "conversations.list": Method(conversations.list_channels),
    "conversations.members": Method(conversations.members),
    "conversations.open": Method(conversations.open_im),
    "conversations.replies": Method(conversations.replies),
    "reactions.add": Method(chat.add_reaction),
    "users.info": Method(conversations.user_info),
    "views.open": Method(modals.open_view),
    "views.publish": Method(modals.publish),
    "views.push": Method(modals.push),
    "views.update": Method(modals.update),
}

"""The methods about messages: chat.*, reactions.add, assistant.threads.setStatus."""

from dataclasses import replace
from typing import Any

from app.sandbox import calls, envelopes, posting, workspace
from app.sandbox.calls import Arguments, Slack
from app.sandbox.refusals import Refusal

Json = dict[str, Any]

MOST_LOADING_MESSAGES = 10


async def post_message(slack: Slack, arguments: Arguments) -> Json:
    """chat.postMessage."""
    calls.needs(slack, "chat:write")
    where = calls.joined(slack, arguments)
    message = await posting.post(slack, where, arguments)
    return {"channel": where.id, "ts": message.ts, "message": envelopes.message_json(message)}


async def update(slack: Slack, arguments: Arguments) -> Json:
    """chat.update."""
    calls.needs(slack, "chat:write")
    where = calls.channel(slack, arguments)
    message = posting.own_message(slack, where, calls.required(arguments, "ts"), "cant_update_message")
    changed = await posting.update(slack, message, arguments)
    shown = envelopes.message_json(changed)
    return {"channel": where.id, "ts": changed.ts, "text": changed.text, "message": shown}


async def post_ephemeral(slack: Slack, arguments: Arguments) -> Json:
    """chat.postEphemeral. As in Slack, nobody sees one in a thread that has no replies yet."""
    calls.needs(slack, "chat:write")
    where = calls.joined(slack, arguments)
    user = calls.required(arguments, "user")
    if user not in where.members:
        raise Refusal("user_not_in_channel")
    thread_ts = posting.thread(slack, where, arguments)
    if thread_ts and len(slack.space.messages(where.id, thread_ts=thread_ts)) == 1:
        posting.content(slack, arguments)
        return {"message_ts": slack.space.next_ts()}
    message = await posting.post(slack, where, arguments, ephemeral_to=user)
    return {"message_ts": message.ts}


async def delete(slack: Slack, arguments: Arguments) -> Json:
    """chat.delete."""
    calls.needs(slack, "chat:write")
    where = calls.channel(slack, arguments)
    message = posting.own_message(slack, where, calls.required(arguments, "ts"), "cant_delete_message")
    slack.space.delete(message)
    if where.is_im:
        await slack.sockets.tell(envelopes.message_deleted(slack.space, message))
    return {"channel": where.id, "ts": message.ts}


async def get_permalink(slack: Slack, arguments: Arguments) -> Json:
    """chat.getPermalink: an address of the sandbox's page."""
    where = calls.channel(slack, arguments)
    ts = calls.required(arguments, "message_ts")
    if slack.space.find(where.id, ts) is None:
        raise Refusal("message_not_found")
    return {"channel": where.id, "permalink": f"{slack.root}#{where.id}/{ts}"}


async def set_status(slack: Slack, arguments: Arguments) -> Json:
    """assistant.threads.setStatus."""
    calls.needs(slack, "chat:write")
    where = calls.joined(slack, arguments, "channel_id")
    thread_ts = calls.required(arguments, "thread_ts")
    parent = slack.space.find(where.id, thread_ts)
    if parent is None or parent.ephemeral:
        raise Refusal("invalid_thread_ts")
    if "status" not in arguments:
        raise Refusal("invalid_arguments", "[ERROR] missing required field: status")
    loading = calls.decoded(arguments, "loading_messages", "invalid_arguments")
    if loading is not None and not (isinstance(loading, list) and len(loading) <= MOST_LOADING_MESSAGES):
        raise Refusal("invalid_arguments", "[ERROR] no more than 10 items allowed [json-pointer:/loading_messages]")
    slack.space.set_status(where.id, thread_ts, calls.string(arguments, "status"))
    return {}


async def add_reaction(slack: Slack, arguments: Arguments) -> Json:
    """reactions.add."""
    calls.needs(slack, "reactions:write")
    where = calls.joined(slack, arguments)
    name = calls.required(arguments, "name").strip(":")
    message = slack.space.find(where.id, calls.required(arguments, "timestamp"))
    if message is None or message.ephemeral:
        raise Refusal("message_not_found")
    mine = (name, workspace.BOT)
    if mine in message.reactions:
        raise Refusal("already_reacted")
    slack.space.change(replace(message, reactions=(*message.reactions, mine)))
    return {}

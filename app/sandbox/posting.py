"""How the app's messages get into the workspace: checked as Slack checks them, then shown."""

from dataclasses import replace
from typing import Any

from app.sandbox import blocks, calls, envelopes, mrkdwn, shapes, workspace
from app.sandbox.calls import Arguments, Slack
from app.sandbox.refusals import Refusal
from app.sandbox.workspace import Channel, Message

Json = dict[str, Any]

MOST_TEXT = 40_000
MOST_UPDATED_TEXT = 4_000
MOST_MARKDOWN = 12_000


async def post(slack: Slack, where: Channel, arguments: Arguments, *, ephemeral_to: str | None = None) -> Message:
    """Show a message of the app. Raises Refusal."""
    thread_ts = thread(slack, where, arguments)
    text, body = content(slack, arguments)
    message = Message(
        channel=where.id,
        ts=slack.space.next_ts(),
        user=workspace.BOT,
        bot_id=workspace.BOT_ID,
        text=text,
        blocks=body,
        thread_ts=thread_ts,
        ephemeral_to=ephemeral_to,
        metadata=metadata(arguments),
    )
    message = slack.space.post(message, unfurls=unfurls(arguments))
    if not ephemeral_to:
        await _told(slack, message)
    return message


async def update(slack: Slack, message: Message, arguments: Arguments) -> Message:
    """Give a message of the app a new content: blocks stay only where neither blocks nor a text are given."""
    text, body = content(slack, {"text": message.text, "blocks": list(message.blocks)} | _new_content(arguments))
    if len(text) > MOST_UPDATED_TEXT:
        raise Refusal("msg_too_long")
    changed = replace(message, text=text, blocks=body, metadata=metadata(arguments) or message.metadata)
    if not arguments.get("blocks"):
        changed = replace(changed, edited_ts=slack.space.next_ts())
    changed = slack.space.post(changed, unfurls=unfurls(arguments))
    if slack.space.channels[message.channel].is_im and not message.ephemeral:
        await slack.sockets.tell(envelopes.message_changed(slack.space, changed, message))
    return changed


def content(slack: Slack, arguments: Arguments) -> tuple[str, tuple[Json, ...]]:
    """Text and blocks of a message. Attachments are not known here. Raises Refusal."""
    text, body = calls.string(arguments, "text"), calls.decoded(arguments, "blocks", "invalid_blocks_format")
    if arguments.get("markdown_text"):
        body = _markdown(calls.string(arguments, "markdown_text"), conflict=bool(text or body))
    if len(text) > MOST_TEXT:
        raise Refusal("msg_too_long")
    complaints = shapes.of_message(body or [])
    if complaints:
        raise Refusal("invalid_blocks", *complaints)
    if not text.strip() and not body:
        raise Refusal("no_text")
    if calls.flag(arguments, "link_names") or arguments.get("parse") == "full":
        text = mrkdwn.linked(text, slack.space.ids_by_name())
    return text, blocks.completed(body or [], slack.space.next_id)


def thread(slack: Slack, where: Channel, arguments: Arguments) -> str | None:
    """The thread to post to: the time stamp of a message that can have replies. Raises Refusal."""
    thread_ts = calls.string(arguments, "thread_ts")
    if not thread_ts:
        return None
    parent = slack.space.find(where.id, thread_ts)
    if parent is None or parent.ephemeral:
        raise Refusal("thread_not_found")
    if parent.thread_ts not in (None, parent.ts):
        raise Refusal("cannot_reply_to_message")
    return thread_ts


def unfurls(arguments: Arguments) -> bool:
    """Whether Slack would look at links: media by default, and more only where it is asked to."""
    return calls.flag(arguments, "unfurl_media") is not False or calls.flag(arguments, "unfurl_links") is True


def metadata(arguments: Arguments) -> Json | None:
    """The metadata of a message. Raises Refusal."""
    given = calls.decoded(arguments, "metadata", "invalid_metadata_format")
    if given is None or given == {}:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise Refusal("invalid_metadata_schema")
    return given


def own_message(slack: Slack, where: Channel, ts: str, denied: str) -> Message:
    """A message that the app wrote, and so may change. Raises Refusal."""
    message = slack.space.find(where.id, ts)
    if message is None or message.ephemeral:
        raise Refusal("message_not_found")
    if message.bot_id != workspace.BOT_ID:
        raise Refusal(denied)
    return message


async def _told(slack: Slack, message: Message) -> None:
    """What follows from a message of the app: the status goes, and in a direct conversation the app hears itself."""
    if message.thread_ts:
        slack.space.clear_status(message.channel, message.thread_ts)
    if slack.space.channels[message.channel].is_im:
        await slack.sockets.tell(envelopes.message_im(slack.space, message))


def _new_content(arguments: Arguments) -> Json:
    given = {name: arguments[name] for name in ("text", "blocks", "markdown_text") if arguments.get(name) is not None}
    return {"text": None, "blocks": None, **given} if given else {}


def _markdown(text: str, *, conflict: bool) -> list[Json]:
    if conflict:
        raise Refusal("markdown_text_conflict")
    if len(text) > MOST_MARKDOWN:
        raise Refusal("msg_too_long")
    return [{"type": "markdown", "text": text}]

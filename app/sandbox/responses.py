"""What the app says at a response_url."""

from app.sandbox import calls, posting
from app.sandbox.calls import Arguments, Slack
from app.sandbox.refusals import Refusal
from app.sandbox.response_urls import ResponseUrl


async def respond(slack: Slack, key: str, arguments: Arguments) -> None:
    """Add a message, or replace or delete the one that the interaction began on. Raises Refusal."""
    url = slack.response_urls.spend(key)
    if calls.flag(arguments, "delete_original"):
        _delete(slack, url)
    elif calls.flag(arguments, "replace_original"):
        await _replace(slack, url, arguments)
    else:
        await answer(slack, url.channel, url.user, arguments)


async def answer(slack: Slack, channel: str, user: str, arguments: Arguments) -> None:
    """A message to the person who asked, or with response_type in_channel to everybody. Raises Refusal."""
    open_to_all = arguments.get("response_type") == "in_channel"
    where = slack.space.channels[channel]
    await posting.post(slack, where, arguments, ephemeral_to=None if open_to_all else user)


def _delete(slack: Slack, url: ResponseUrl) -> None:
    source = url.source and slack.space.find(url.source.channel, url.source.ts)
    if not source:
        raise Refusal("message_not_found")
    slack.space.delete(source)


async def _replace(slack: Slack, url: ResponseUrl, arguments: Arguments) -> None:
    source = url.source and slack.space.find(url.source.channel, url.source.ts)
    if not source:
        raise Refusal("message_not_found")
    await posting.update(slack, source, arguments)

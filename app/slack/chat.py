"""The Chat port over Slack's Web API and the addresses that come with commands."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from app import logs
from app.errors import NotPosted, Unsure
from app.moderation import Clean
from app.ports import Place

CALL_TIMEOUT_S = 15.0
STATUS_TIMEOUT_S = 1.0
STATUS = "is thinking…"
RATE_LIMIT_RETRIES = 10
WORKED_OR_NOT = {"internal_error", "fatal_error", "request_timeout", "service_unavailable"}
"""Errors after which Slack says that the call may have been carried out (docs.slack.dev, chat.postMessage, Errors)."""

log = logs.get(__name__)


@dataclass(frozen=True)
class SlackChat:
    """Says things in Slack: each message is sent once, and again only where Slack said 429.

    A channel's messages go one after the other. Slack takes about one a second in each, and if all who wait for that
    came back at the same moment, the last would be turned away for ever.
    """

    client: AsyncWebClient
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def thinking(self, place: Place) -> None:
        """The status line of a thread; Slack takes it away when the answer comes."""
        if place.thread_ts is None:
            return
        call = self.client.assistant_threads_setStatus(
            channel_id=place.channel, thread_ts=place.thread_ts, status=STATUS
        )
        try:
            await asyncio.wait_for(call, STATUS_TIMEOUT_S)
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            log.info("the status line could not be set", reason=str(error))

    async def reply(self, place: Place, text: Clean) -> str | None:
        """Post the model's words as rich text, in which nothing is ever parsed."""
        words = {"text": escape(text.text), "blocks": [verbatim(text.text)]}
        if place.response_url:
            await self._respond(place.response_url, response_type="in_channel", **words)
            return None
        return await self._post(place, **words)

    async def notice(self, place: Place, words: str) -> None:
        """Post words of ours; only the asker sees them where a command was given."""
        if place.response_url:
            await self._respond(place.response_url, response_type="ephemeral", text=escape(words))
        else:
            await self._post(place, text=escape(words))

    async def _post(self, place: Place, **words: Any) -> str:
        call = self.client.chat_postMessage
        try:
            async with self.turns[place.channel]:
                answer = await call(
                    channel=place.channel, thread_ts=place.thread_ts, unfurl_links=False, unfurl_media=False, **words
                )
        except SlackApiError as error:
            raise _refusal(error) from error
        except Exception as error:
            # Whatever broke, a request may have gone out: the one honest answer is that nobody knows.
            raise Unsure(f"chat.postMessage: {type(error).__name__}") from error
        return str(answer["ts"])

    async def _respond(self, response_url: str, **words: Any) -> None:
        webhook = AsyncWebhookClient(
            response_url,
            session=self.client.session,
            retry_handlers=self.client.retry_handlers,
            proxy=self.client.proxy,
        )
        webhook.proxy = self.client.proxy  # its constructor puts the environment's in the place of none
        try:
            answer = await webhook.send(unfurl_links=False, unfurl_media=False, replace_original=False, **words)
        except Exception as error:
            raise Unsure(f"response_url: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise _outcome(answer.status_code, answer.body)


def rate_limit_handlers() -> list[Any]:
    """The only retries of calls that create a message: the SDK's own would post again after a lost connection."""
    return [AsyncRateLimitErrorRetryHandler(max_retry_count=RATE_LIMIT_RETRIES)]


def escape(text: str) -> str:
    """Text for a field that Slack parses: no mention, link or command in it comes alive.

    Source: docs.slack.dev, "Formatting message text", Escaping text.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def verbatim(text: str) -> dict[str, Any]:
    """A block in which Slack parses nothing at all."""
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


def _refusal(error: SlackApiError) -> NotPosted | Unsure:
    """What an error of the Web API means; the SDK gives its own response, or aiohttp's where that was not JSON."""
    answer: Any = error.response
    if isinstance(answer, AsyncSlackResponse) and isinstance(answer.data, dict):
        return _outcome(answer.status_code, str(answer.data.get("error")))
    return Unsure("Slack's answer could not be read")


def _outcome(status: int, reason: str) -> NotPosted | Unsure:
    said = f"Slack answered {status} {reason}"
    return Unsure(said) if status >= 500 or reason in WORKED_OR_NOT else NotPosted(said)

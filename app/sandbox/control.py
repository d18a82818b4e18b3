"""The handle on a running sandbox: for the program that embeds it, and for tests."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.sandbox import workspace
from app.sandbox.calls import Call, Slack
from app.sandbox.faults import Faults
from app.sandbox.people import Chosen, Outcome, People
from app.sandbox.tokens import Tokens
from app.sandbox.views import View
from app.sandbox.workspace import Message, Status

T = TypeVar("T")


@dataclass(frozen=True)
class Sandbox:
    """A Slack workspace that is up. Who acts is the person, unless `user` says otherwise."""

    slack: Slack
    people: People
    faults: Faults
    tokens: Tokens
    call_log: deque[Call]
    person: str = workspace.PERSON
    colleague: str = workspace.COLLEAGUE
    other_bot: str = workspace.OTHER_BOT
    bot: str = workspace.BOT
    dm: str = workspace.PERSON_DM
    review_channel: str = workspace.REVIEW

    @property
    def page_url(self) -> str:
        """Where a person looks at the workspace."""
        return self.slack.root

    @property
    def api_url(self) -> str:
        """What SLACK_API_URL has to be for the bot to be here."""
        return f"{self.slack.root}api/"

    @property
    def bot_token(self) -> str:
        """The xoxb- token."""
        return self.tokens.bot

    @property
    def app_token(self) -> str:
        """The xapp- token."""
        return self.tokens.app

    @property
    def connections(self) -> int:
        """How many WebSockets of the app are open."""
        return len(self.slack.sockets.connections)

    @property
    def delivered(self) -> int:
        """How many times an event was put on a WebSocket of the app, redeliveries included."""
        return self.slack.sockets.delivered

    def channel(self, name: str) -> str:
        """The id of a channel by its name without the sign."""
        return next(one.id for one in self.slack.space.channels.values() if one.name == name and not one.is_im)

    async def say(self, channel: str, text: str, *, user: str | None = None, thread_ts: str | None = None) -> str:
        """Write a message as a person types it, `@millzbot` included: its time stamp."""
        return await self.people.say(user or self.person, channel, text, thread_ts=thread_ts)

    async def edit(self, channel: str, ts: str, text: str, *, user: str | None = None) -> None:
        """Give a message another text, as its author."""
        await self.people.edit(user or self.person, channel, ts, text)

    async def delete(self, channel: str, ts: str, *, user: str | None = None) -> None:
        """Take a message away, as its author."""
        await self.people.delete(user or self.person, channel, ts)

    async def command(self, command: str, text: str = "", *, channel: str, user: str | None = None) -> Outcome:
        """Type a slash command; back when it is acknowledged, or has failed."""
        return await self.people.command(user or self.person, channel, command, text)

    async def click(self, message: Message, action_id: str, chosen: Any = None, *, user: str | None = None) -> Outcome:
        """Use a button of a message, or choose the option with the value `chosen`."""
        return await self.people.click(user or self.person, message.channel, message.ts, action_id, chosen=chosen)

    async def click_in_view(
        self, view: View, action_id: str, chosen: Any = None, *, values: Chosen | None = None
    ) -> Outcome:
        """The same in a modal or on the Home tab."""
        return await self.people.click_in_view(view.user, view.id, action_id, chosen=chosen, values=values)

    async def submit(self, view: View, values: Chosen | None = None) -> Outcome:
        """Send a modal off with these values, by block_id and action_id."""
        return await self.people.submit(view.user, view.id, values or {})

    async def close(self, view: View, *, whole_stack: bool = False) -> Outcome:
        """Close a modal without sending it off."""
        return await self.people.close(view.user, view.id, whole_stack=whole_stack)

    async def shortcut(self, callback_id: str, message: Message, *, user: str | None = None) -> Outcome:
        """Choose one of the app's shortcuts in a message's menu."""
        return await self.people.shortcut(user or self.person, callback_id, message.channel, message.ts)

    async def open_home(self, *, user: str | None = None, tab: str = "home") -> None:
        """Look at the app's Home tab, or with tab "messages" at the conversation with it."""
        await self.people.open_home(user or self.person, tab)

    def messages(self, channel: str, *, thread_ts: str | None = None) -> list[Message]:
        """All messages of a channel, replies and ephemeral ones included, or one thread; oldest first."""
        return self.slack.space.messages(channel, thread_ts=thread_ts)

    def modal(self, user: str | None = None) -> View | None:
        """The topmost modal that somebody has open."""
        stack = self.slack.views.stack(user or self.person)
        return stack[-1] if stack else None

    def home(self, user: str | None = None) -> View | None:
        """What the app has published to somebody's Home tab."""
        return self.slack.views.home(user or self.person)

    def statuses(self) -> list[Status]:
        """Every status that was set or taken away (empty text), in order."""
        return list(self.slack.space.status_log)

    def calls(self, method: str | None = None) -> list[Call]:
        """Every call of the Web API, in order; posts to a response_url have the method `response_url`."""
        return [one for one in self.call_log if method in (None, one.method)]

    async def until(self, predicate: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Wait until `predicate` gives something true, and give it back; asked again at every change.

        Raises TimeoutError with the state of the workspace.
        """
        changed = asyncio.Event()
        with self.slack.space.watched(lambda _: changed.set()):
            try:
                async with asyncio.timeout(timeout_s):
                    while not (found := predicate()):
                        await changed.wait()
                        await asyncio.sleep(0)
                        changed.clear()
            except TimeoutError:
                raise TimeoutError(f"It did not come true in {timeout_s} s.\n{self.describe()}") from None
        return found

    def describe(self) -> str:
        """The state of the workspace, for a person who wonders."""
        lines = [f"connections: {self.connections}"]
        for channel in self.slack.space.channels.values():
            lines += [f"#{channel.name} {_line(message)}" for message in self.messages(channel.id)]
        lines += [f"status {one.channel} {one.thread_ts} {one.text!r}" for one in self.statuses()[-10:]]
        lines += [f"call {one.method} {one.status} {one.error} {_short(one.arguments)}" for one in self.calls()[-20:]]
        return "\n".join(lines)


def _line(message: Message) -> str:
    marks = f"{' ephemeral' if message.ephemeral else ''}{f' in {message.thread_ts}' if message.thread_ts else ''}"
    return f"{message.ts}{marks} {message.user}: {message.text!r}"


def _short(arguments: Mapping[str, Any]) -> str:
    text = str(dict(arguments))
    return text if len(text) <= 200 else f"{text[:200]}…"

"""The workspace itself: who is in it, what was said, and word of every change to whoever watches."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from app.sandbox import mrkdwn

Json = dict[str, Any]

TEAM = "T0SANDBOX"
APP = "A0SANDBOX"
BOT = "U0MILLZBOT"
BOT_ID = "B0MILLZBOT"
SLACKBOT = "USLACKBOT"
PERSON = "U0YOU"
COLLEAGUE = "U0ROBIN"
OTHER_BOT = "U0CHATTER"
PERSON_DM = "D0YOU"
REVIEW = "C0REVIEW"

KEPT_MESSAGES = 5000
KEPT_STATUSES = 10_000
STATUS_S = 120.0


@dataclass(frozen=True)
class App:
    """What is installed in the workspace: the parts of an app's manifest that change what Slack does."""

    name: str = "millzbot"
    scopes: frozenset[str] = frozenset({"app_mentions:read", "chat:write", "commands", "im:history"})
    commands: tuple[tuple[str, str], ...] = (("/millz", "[the beginning of a post]"),)
    """Name and usage hint of each slash command."""
    shortcuts: tuple[tuple[str, str], ...] = ()
    """Callback id and name of each message shortcut."""
    events: frozenset[str] = frozenset({"app_mention", "message.im"})
    home_tab: bool = False

    @classmethod
    def from_manifest(cls, manifest: Json) -> "App":
        """The app that Slack would make from a manifest.json."""
        features = manifest["features"]
        shortcuts = [one for one in features.get("shortcuts", []) if one["type"] == "message"]
        return cls(
            name=features["bot_user"]["display_name"],
            scopes=frozenset(manifest["oauth_config"]["scopes"]["bot"]),
            commands=tuple((one["command"], one.get("usage_hint", "")) for one in features.get("slash_commands", [])),
            shortcuts=tuple((one["callback_id"], one["name"]) for one in shortcuts),
            events=frozenset(manifest["settings"]["event_subscriptions"]["bot_events"]),
            home_tab=features["app_home"]["home_tab_enabled"],
        )


@dataclass(frozen=True)
class User:
    """A person or a bot user; bot_id is empty for people."""

    id: str
    name: str
    bot_id: str = ""


@dataclass
class Channel:
    """A channel, or a direct conversation of one person with the bot."""

    id: str
    name: str
    members: set[str]

    @property
    def is_im(self) -> bool:
        """Whether it is a direct conversation."""
        return self.id.startswith("D")


@dataclass(frozen=True)
class Message:
    """One message; an ephemeral one names the only person who sees it."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: tuple[Json, ...] = ()
    thread_ts: str | None = None
    ephemeral_to: str | None = None
    bot_id: str = ""
    edited_ts: str | None = None
    metadata: Json | None = None
    reactions: tuple[tuple[str, str], ...] = ()
    """Name of the emoji and who put it there."""
    pings: tuple[str, ...] = ()
    """Everyone whom Slack would have notified: user ids, `!channel` and the like."""
    unfurl: bool = False
    """Whether Slack would have fetched a link of it."""

    @property
    def ephemeral(self) -> bool:
        """Whether only one person sees it."""
        return self.ephemeral_to is not None


@dataclass(frozen=True)
class Status:
    """The line "millzbot is thinking…" of a thread; empty text: it was taken away. `at` is in seconds since 1970."""

    channel: str
    thread_ts: str
    text: str
    at: float


@dataclass(frozen=True)
class Change:
    """Something has happened: its kind, and the thing as it is now."""

    kind: str
    subject: Any


Watcher = Callable[[Change], None]


@dataclass
class Workspace:
    """All state that people and the app share. Nothing here waits; `clock` gives seconds since 1970."""

    clock: Callable[[], float]
    app: App = field(default_factory=App)
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    status_log: list[Status] = field(default_factory=list)
    _messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    _statuses: dict[tuple[str, str], Status] = field(default_factory=dict)
    """The status of each thread that has one, by channel and thread."""
    _watchers: list[Watcher] = field(default_factory=list)
    _last_us: int = 0

    def __post_init__(self) -> None:
        """Furnish the workspace."""
        for user in _residents(self.app.name):
            self.users[user.id] = user
        for channel in _rooms():
            self.channels[channel.id] = channel
            self._messages[channel.id] = {}

    def next_ts(self) -> str:
        """A time stamp as Slack gives it: the time in microseconds, later than every one before."""
        self._last_us = max(self._last_us + 1, int(self.clock() * 1_000_000))
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """An id that nothing else has, in an earlier run of the sandbox neither: the bot remembers event ids."""
        return f"{prefix}0{secrets.token_hex(5).upper()}"

    def ids_by_name(self) -> dict[str, str]:
        """Who is meant by @ and a name, in small letters."""
        return {user.name.lower(): user.id for user in self.users.values()}

    def dm_of(self, user: str) -> Channel | None:
        """The conversation of one person with the bot."""
        return next((one for one in self.channels.values() if one.is_im and user in one.members), None)

    def bot_is_in(self, channel: str) -> bool:
        """Whether the bot is a member of it."""
        return BOT in self.channels[channel].members

    def messages(self, channel: str, *, thread_ts: str | None = None) -> list[Message]:
        """All that was said in a channel, replies included, or one thread with its parent; oldest first."""
        said = self._messages[channel].values()
        return [one for one in said if thread_ts is None or thread_ts in (one.ts, one.thread_ts)]

    def find(self, channel: str, ts: str) -> Message | None:
        """The message with this time stamp."""
        return self._messages.get(channel, {}).get(ts)

    def post(self, message: Message, *, unfurls: bool = False) -> Message:
        """Add a message, or give one a new content; note whom it pings and whether it unfurls."""
        judged = replace(
            message,
            pings=mrkdwn.pings(message.text, message.blocks),
            unfurl=unfurls and mrkdwn.has_link(message.text, message.blocks),
        )
        shelf = self._messages[message.channel]
        shelf[message.ts] = judged
        if len(shelf) > KEPT_MESSAGES:
            del shelf[next(iter(shelf))]
        self.tell("message", judged)
        return judged

    def change(self, message: Message) -> None:
        """Put the new version of a message in the place of the old one; whom it pings stays as it was."""
        self._messages[message.channel][message.ts] = message
        self.tell("message", message)

    def delete(self, message: Message) -> None:
        """Take a message away."""
        del self._messages[message.channel][message.ts]
        self.tell("deleted", message)

    def set_status(self, channel: str, thread_ts: str, text: str) -> None:
        """Show a status in a thread; an empty text takes it away."""
        status = Status(channel, thread_ts, text, self.clock())
        self._statuses.pop((channel, thread_ts), None)
        if text:
            self._statuses[channel, thread_ts] = status
        self.status_log.append(status)
        del self.status_log[:-KEPT_STATUSES]
        self.tell("status", status)

    def current_statuses(self) -> list[Status]:
        """The statuses that are to be seen now: Slack shows one for two minutes."""
        return [one for one in self._statuses.values() if self.clock() - one.at < STATUS_S]

    def clear_status(self, channel: str, thread_ts: str) -> None:
        """Take the status of a thread away, where there is one: Slack does so when the app answers."""
        if (channel, thread_ts) in self._statuses:
            self.set_status(channel, thread_ts, "")

    def join(self, channel: str, user: str) -> None:
        """Make somebody a member."""
        self.channels[channel].members.add(user)
        self.tell("member", self.channels[channel])

    def tell(self, kind: str, subject: Any) -> None:
        """Pass word of a change to everyone who watches."""
        for watcher in tuple(self._watchers):
            watcher(Change(kind, subject))

    @contextmanager
    def watched(self, watcher: Watcher) -> Iterator[None]:
        """Have every change told to `watcher`, for as long as the context lasts."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)


def _residents(bot_name: str) -> list[User]:
    return [
        User(PERSON, "You"),
        User(COLLEAGUE, "Robin"),
        User(BOT, bot_name, bot_id=BOT_ID),
        User(OTHER_BOT, "chatter", bot_id="B0CHATTER"),
        User(SLACKBOT, "Slackbot"),
    ]


def _rooms() -> list[Channel]:
    return [
        Channel("C0GENERAL", "general", {PERSON, COLLEAGUE, OTHER_BOT, BOT}),
        Channel("C0RANDOM", "random", {PERSON, COLLEAGUE, OTHER_BOT}),
        Channel(REVIEW, "review", {PERSON, COLLEAGUE, BOT}),
        Channel(PERSON_DM, "You", {PERSON, BOT}),
        Channel("D0ROBIN", "Robin", {COLLEAGUE, BOT}),
    ]

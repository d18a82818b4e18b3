"""Response URLs: the addresses at which the app may answer one interaction for a while."""

import secrets
from dataclasses import dataclass, field

from app.sandbox import workspace
from app.sandbox.refusals import Refusal
from app.sandbox.workspace import Message, Workspace

USES = 5
LIFE_S = 30 * 60.0


@dataclass
class ResponseUrl:
    """Where an answer goes: the channel and the person of the interaction, and the message that it began on."""

    channel: str
    user: str
    source: Message | None
    until: float
    uses_left: int = USES


@dataclass
class ResponseUrls:
    """Every address that was handed out in the last half hour; `root` is the sandbox's own, ending in a slash."""

    workspace: Workspace
    root: str
    _given: dict[str, ResponseUrl] = field(default_factory=dict)

    def new(self, kind: str, channel: str, user: str, source: Message | None = None) -> str:
        """A new address; its kind is `commands` or `actions`, as in Slack's own."""
        self._forget_expired()
        key = secrets.token_urlsafe(18)
        self._given[key] = ResponseUrl(channel, user, source, self.workspace.clock() + LIFE_S)
        return f"{self.root}{kind}/{workspace.TEAM}/{key}"

    def spend(self, key: str) -> ResponseUrl:
        """Use an address once. Raises Refusal."""
        url = self._given.get(key)
        if url is None or self.workspace.clock() > url.until:
            raise Refusal("expired_url")
        if url.uses_left == 0:
            raise Refusal("used_url")
        url.uses_left -= 1
        return url

    def _forget_expired(self) -> None:
        now = self.workspace.clock()
        while self._given:
            oldest, url = next(iter(self._given.items()))
            if url.until >= now:
                break
            del self._given[oldest]

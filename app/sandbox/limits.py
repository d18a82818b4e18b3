"""Slack's rate limits: how often each method may be called."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rate:
    """So many calls a minute, and at once as many as `burst`."""

    per_minute: float
    burst: int


TIER_2, TIER_3, TIER_4 = Rate(20, 20), Rate(50, 50), Rate(100, 100)
SPECIAL = Rate(600, 100)
ONE_A_SECOND = Rate(60, 5)

SLACK: Mapping[str, Rate] = {
    "apps.connections.open": TIER_3,
    "assistant.threads.setStatus": SPECIAL,
    "auth.test": SPECIAL,
    "chat.delete": TIER_3,
    "chat.getPermalink": SPECIAL,
    "chat.postEphemeral": TIER_4,
    "chat.postMessage": ONE_A_SECOND,
    "chat.update": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.list": TIER_2,
    "conversations.members": TIER_4,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "reactions.add": TIER_3,
    "users.info": TIER_4,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.push": TIER_4,
    "views.update": TIER_4,
}
"""As docs.slack.dev gives the tiers; chat.postMessage is counted by channel, and bursts a little."""

NONE: Mapping[str, Rate] = {}
"""No limits at all: for benchmarks."""


@dataclass
class Limiter:
    """A token bucket for every method, and for chat.postMessage one for every channel."""

    clock: Callable[[], float]
    rates: Mapping[str, Rate] = field(default_factory=lambda: SLACK)
    _buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """By method and channel: calls left, and the time of the last call."""

    def wait_s(self, method: str, channel: str = "") -> int:
        """Count a call: 0 where it may go on, else the whole seconds of the Retry-After header."""
        rate = self.rates.get(method)
        if rate is None:
            return 0
        key = (method, channel if method == "chat.postMessage" else "")
        now = self.clock()
        left, before = self._buckets.get(key, (rate.burst, now))
        left = min(rate.burst, left + (now - before) * rate.per_minute / 60)
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        return 0 if left >= 1 else max(1, math.ceil((1 - left) * 60 / rate.per_minute))

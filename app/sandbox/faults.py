"""What the workspace does wrong on request: lost sockets, doubled events, failing and slow calls."""

from collections import Counter, deque
from dataclasses import dataclass, field

from app.sandbox.sockets import Sockets

RESET = 0
"""In place of an HTTP status: the connection is cut without an answer."""


@dataclass(frozen=True)
class Fault:
    """How one call goes wrong: with which status, before the work is done or after it, and how late."""

    status: int | None = None
    """429, 500, another status, RESET, or None for the right answer."""
    after_work: bool = False
    retry_after_s: int = 1
    slow_s: float = 0.0


@dataclass
class Faults:
    """The misbehaviour that is still to come."""

    sockets: Sockets
    _calls: dict[str, deque[Fault]] = field(default_factory=dict)
    _taken: Counter[str] = field(default_factory=Counter)

    def fail(self, method: str, fault: Fault, *, times: int = 1) -> None:
        """Have the next calls of a method go wrong; a response_url counts as method `response_url`."""
        self._calls.setdefault(method, deque()).extend([fault] * times)

    def take(self, method: str) -> Fault:
        """The fault of the call that is being made."""
        waiting = self._calls.get(method)
        if not waiting:
            return Fault()
        self._taken[method] += 1
        self.sockets.workspace.tell("fault", method)
        return waiting.popleft()

    def taken(self, method: str) -> int:
        """How many calls of a method have gone wrong so far, or are about to."""
        return self._taken[method]

    def heal(self) -> None:
        """Forget all misbehaviour that has not happened yet."""
        self._calls.clear()
        self.sockets.doubled = self.sockets.lost = 0

    def drop_sockets(self) -> None:
        """Cut every WebSocket of the app now, as when a cable is pulled and both ends notice."""
        self.sockets.drop()

    def freeze_sockets(self) -> None:
        """Leave every WebSocket open and dead: nothing is read or answered, and envelopes still go there."""
        self.sockets.freeze()

    async def ask_to_reconnect(self, reason: str = "refresh_requested") -> None:
        """Send Slack's disconnect frame on every WebSocket."""
        await self.sockets.disconnect(reason)

    def deliver_twice(self, times: int = 1) -> None:
        """Have the next events delivered twice."""
        self.sockets.doubled += times

    def lose_acknowledgements(self, times: int = 1) -> None:
        """Have the next acknowledgements lost on their way, so that events come again."""
        self.sockets.lost += times

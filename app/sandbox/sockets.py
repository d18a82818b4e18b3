"""Socket Mode, Slack's side: the app's WebSockets, envelopes to one of them, acknowledgements, redelivery."""

import asyncio
import json
import random
import secrets
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from app.sandbox import workspace
from app.sandbox.workspace import Workspace

Json = dict[str, Any]

MOST_CONNECTIONS = 10
REDELIVERIES = 3
PING_S = 10.0
CONNECTION_S = 18_060


class Unanswered(Exception):  # noqa: N818 - what became of a question
    """The app did not take an interaction; the text is Slack's word for why."""


@dataclass(eq=False)
class Connection:
    """One WebSocket of the app. A frozen one is open and dead."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    frozen: bool = False


@dataclass(eq=False)
class Envelope:
    """A payload on its way, and where it has been sent so far."""

    kind: str
    payload: Json
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: asyncio.Future[Json] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sent_to: list[Connection] = field(default_factory=list)

    def frame(self, attempt: int) -> str:
        """The text frame of the first delivery (attempt 0) or a later one."""
        body: Json = {"envelope_id": self.id, "type": self.kind, "payload": self.payload}
        body["accepts_response_payload"] = self.kind != "events_api"
        if self.kind == "events_api":
            body |= {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
        return json.dumps(body)


@dataclass
class Sockets:
    """The app's connections; each envelope goes to one of them, picked by `rng`."""

    workspace: Workspace
    rng: random.Random
    ack_timeout_s: float = 3.0
    doubled: int = 0
    """How many of the next events are delivered twice."""
    lost: int = 0
    """How many of the next acknowledgements are lost."""
    delivered: int = 0
    """How many times an event was put on a WebSocket, redeliveries included."""
    connections: list[Connection] = field(default_factory=list)
    _tickets: set[str] = field(default_factory=set)
    _underway: dict[str, Envelope] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def new_ticket(self) -> str:
        """What opens one WebSocket, once."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    async def ask(self, kind: str, payload: Json) -> Json:
        """Send an interaction, once: the payload of its acknowledgement. Raises Unanswered."""
        envelope = Envelope(kind, payload)
        if not await self._send(envelope, attempt=0):
            raise Unanswered("dispatch_failed")
        try:
            return await asyncio.wait_for(envelope.answer, self.ack_timeout_s)
        except TimeoutError:
            raise Unanswered("operation_timeout") from None
        finally:
            self._underway.pop(envelope.id, None)

    async def tell(self, payload: Json) -> None:
        """Send an event that the app subscribes to, and again until it is acknowledged, three times at most."""
        if _subscription(payload["event"]) not in self.workspace.app.events:
            return
        envelope = Envelope("events_api", payload)
        await self._send(envelope, attempt=0)
        if self.doubled:
            self.doubled -= 1
            await self._send(envelope, attempt=1)
        self._begin(self._insist(envelope))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """GET /link/: one WebSocket, from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPForbidden(text="This ticket is spent or unknown: call apps.connections.open.")
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=False, compress=False, timeout=1.0)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        connection = Connection(socket, request.transport)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": _DEBUG_INFO})
            await socket.close()
        else:
            await self._converse(connection)
        return socket

    def drop(self) -> None:
        """Cut every connection without a word."""
        for connection in self.connections:
            connection.transport.abort()

    def freeze(self) -> None:
        """Leave every connection open and dead."""
        for connection in self.connections:
            connection.frozen = True

    async def disconnect(self, reason: str) -> None:
        """Tell the app to open new connections."""
        for connection in tuple(self.connections):
            frame = {"type": "disconnect", "reason": reason, "debug_info": _DEBUG_INFO}
            await connection.socket.send_json(frame)

    async def close(self) -> None:
        """Close all connections and give up what is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        for connection in tuple(self.connections):
            await connection.socket.close()

    async def _converse(self, connection: Connection) -> None:
        self.connections.append(connection)
        self.workspace.tell("socket", len(self.connections))
        pings = asyncio.create_task(_ping(connection))
        try:
            await connection.socket.send_json(self._hello())
            await self._listen(connection)
        finally:
            pings.cancel()
            self._forget(connection)

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if connection.frozen:
                continue
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                self._acknowledge(connection, message.data)

    def _acknowledge(self, connection: Connection, frame: str) -> None:
        """Take an acknowledgement; it counts only on a connection to which its envelope went."""
        try:
            said = json.loads(frame)
        except (ValueError, RecursionError):
            return
        envelope = self._underway.get(str(said.get("envelope_id"))) if isinstance(said, dict) else None
        if envelope and self.lost:
            self.lost -= 1
        elif envelope and connection in envelope.sent_to and not envelope.answer.done():
            payload = said.get("payload")
            envelope.answer.set_result(payload if isinstance(payload, dict) else {})

    async def _insist(self, envelope: Envelope) -> None:
        try:
            for attempt in range(1, REDELIVERIES + 1):
                done, _ = await asyncio.wait([envelope.answer], timeout=self.ack_timeout_s)
                if done:
                    return
                await self._send(envelope, attempt=attempt)
            await asyncio.wait([envelope.answer], timeout=self.ack_timeout_s)
        finally:
            self._underway.pop(envelope.id, None)

    async def _send(self, envelope: Envelope, *, attempt: int) -> bool:
        """Send to one connection at random: whether there was one."""
        self._underway[envelope.id] = envelope
        while self.connections:
            connection = self.rng.choice(self.connections)
            envelope.sent_to.append(connection)
            if connection.frozen:
                return True
            try:
                await connection.socket.send_str(envelope.frame(attempt))
            except ConnectionError:
                self._forget(connection)
                continue
            if envelope.kind == "events_api":
                self.delivered += 1
                self.workspace.tell("delivered", self.delivered)
            return True
        return False

    def _forget(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self.workspace.tell("socket", len(self.connections))

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "debug_info": {**_DEBUG_INFO, "approximate_connection_time": CONNECTION_S},
            "connection_info": {"app_id": workspace.APP},
        }

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_DEBUG_INFO = {"host": "sandbox", "build_number": 1}


def _subscription(event: Json) -> str:
    """The name under which a manifest subscribes to an event: messages are told apart by where they are."""
    return f"message.{event['channel_type']}" if event["type"] == "message" else str(event["type"])


async def _ping(connection: Connection) -> None:
    """Slack pings too, and expects no more of it than that the network keeps the connection."""
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(PING_S)
            if not connection.frozen:
                await connection.socket.ping()

"""The page for people: its files, what people do on it, and the live feed of what they see."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from app.sandbox import workspace
from app.sandbox.calls import Slack
from app.sandbox.people import Outcome, People
from app.sandbox.refusals import Refusal
from app.sandbox.workspace import Change, Message

Json = dict[str, Any]
Deed = Callable[[People, Json], Awaitable[Any]]

STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105 - the name of a header
FEED_WAIT_S = 5.0
MOST_UNSENT = 1000
ME = workspace.PERSON
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

DEEDS: dict[str, Deed] = {
    "say": lambda who, it: who.say(ME, it["channel"], it["text"], thread_ts=it.get("thread_ts")),
    "edit": lambda who, it: who.edit(ME, it["channel"], it["ts"], it["text"]),
    "delete": lambda who, it: who.delete(ME, it["channel"], it["ts"]),
    "command": lambda who, it: who.command(ME, it["channel"], it["command"], it["text"]),
    "click": lambda who, it: who.click(ME, it["channel"], it["ts"], it["action_id"], chosen=it.get("chosen")),
    "click_in_view": lambda who, it: who.click_in_view(
        ME, it["view"], it["action_id"], chosen=it.get("chosen"), values=_values(it.get("values", {}))
    ),
    "submit": lambda who, it: who.submit(ME, it["view"], _values(it["values"])),
    "close": lambda who, it: who.close(ME, it["view"], whole_stack=it.get("whole_stack") is True),
    "shortcut": lambda who, it: who.shortcut(ME, it["callback_id"], it["channel"], it["ts"]),
    "open_home": lambda who, it: who.open_home(ME, it["tab"]),
}
"""What the page may do, always as the person: by the last part of the address."""
NOT_TEXTS = ("chosen", "values", "whole_stack")


@dataclass
class Page:
    """Serves the page; everything but its files wants the page's own origin and token."""

    slack: Slack
    people: People
    token: str
    _feeds: set[web.WebSocketResponse] = field(default_factory=set)
    _files: dict[str, bytes] = field(default_factory=lambda: {one.name: one.read_bytes() for one in STATIC.iterdir()})

    def routes(self) -> list[web.RouteDef]:
        """Where the page and what it needs are found."""
        return [
            web.get("/", self.index),
            web.get("/static/{name}", self.static),
            web.post("/page/{deed}", self.act),
            web.get("/feed", self.feed),
        ]

    async def index(self, _: web.Request) -> web.Response:
        """The page, with its token in it: no other origin can read that."""
        html = self._files["index.html"].replace(b"{{token}}", self.token.encode())
        return web.Response(body=html, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def static(self, request: web.Request) -> web.Response:
        """A file of the page."""
        name = request.match_info["name"]
        kind = KINDS.get(Path(name).suffix)
        if kind is None or name not in self._files:
            raise web.HTTPNotFound(text="There is no such file.")
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8", headers=HEADERS)

    async def act(self, request: web.Request) -> web.Response:
        """One thing that the person does."""
        self._check_origin(request)
        if not self._is_token(request.headers.get(TOKEN_HEADER)):
            raise web.HTTPForbidden(text="The page's token is missing or wrong: load the page again.")
        deed = DEEDS.get(request.match_info["deed"])
        if deed is None:
            raise web.HTTPNotFound(text="The page cannot do that.")
        try:
            outcome = await deed(self.people, await _body(request))
        except Refusal as refusal:
            return web.json_response({"ok": False, "error": refusal.error, "errors": {}}, headers=HEADERS)
        return web.json_response(_outcome_json(outcome), headers=HEADERS)

    async def feed(self, request: web.Request) -> web.WebSocketResponse:
        """The live feed: the page sends its token, then gets the state, then every change."""
        self._check_origin(request)
        socket = web.WebSocketResponse(heartbeat=20.0, timeout=1.0, max_msg_size=1000)
        await socket.prepare(request)
        try:
            said = await socket.receive(timeout=FEED_WAIT_S)
        except TimeoutError:
            said = None
        if said is None or said.type is not WSMsgType.TEXT or not self._is_token(said.data):
            await socket.close(code=4401, message=b"The page's token is missing or wrong")
            return socket
        self._feeds.add(socket)
        try:
            await self._stream(socket)
        finally:
            self._feeds.discard(socket)
        return socket

    async def close(self) -> None:
        """End all feeds."""
        for socket in tuple(self._feeds):
            await socket.close()

    async def _stream(self, socket: web.WebSocketResponse) -> None:
        """Send until the other side goes; one that reads too slowly is dropped, and comes back for the state."""
        unsent: asyncio.Queue[Json] = asyncio.Queue()

        def note(change: Change) -> None:
            shown = self._shown(change)
            if shown:
                unsent.put_nowait(shown)

        with self.slack.space.watched(note):
            unsent.put_nowait(self._state())
            sending = asyncio.create_task(_send(socket, unsent))
            try:
                async for _ in socket:
                    pass
            finally:
                sending.cancel()

    def _state(self) -> Json:
        space = self.slack.space
        seen = [one for one in space.channels.values() if ME in one.members]
        said = [one for channel in seen for one in space.messages(channel.id) if _is_mine_to_see(one)]
        return {
            "kind": "state",
            "me": ME,
            "bot": workspace.BOT,
            "dm": next(one.id for one in seen if one.is_im),
            "app": {name: getattr(space.app, name) for name in ("name", "commands", "shortcuts", "home_tab")},
            "users": [asdict(one) for one in space.users.values()],
            "channels": [_channel_json(one) for one in seen],
            "messages": [asdict(one) for one in said],
            "statuses": [asdict(one) for one in space.current_statuses()],
            "modals": self._modals(),
            "home": self._home(),
            "connections": len(self.slack.sockets.connections),
        }

    def _shown(self, change: Change) -> Json | None:
        """A change as the page hears of it; None where it is none of the person's business."""
        shown: Json | None = None
        match change.kind, change.subject:
            case (("message" | "deleted"), Message() as message) if _is_mine_to_see(message):
                shown = {"message": asdict(message)}
            case "status", status:
                shown = {"status": asdict(status)}
            case "member", channel:
                shown = {"channel": _channel_json(channel)}
            case "modals", user if user == ME:
                shown = {"modals": self._modals()}
            case "home", user if user == ME:
                shown = {"home": self._home()}
            case "socket", connections:
                shown = {"connections": connections}
        return {"kind": change.kind, **shown} if shown else None

    def _modals(self) -> list[Json]:
        return [one.as_json() for one in self.slack.views.stack(ME)]

    def _home(self) -> Json | None:
        home = self.slack.views.home(ME)
        return home.as_json() if home else None

    def _check_origin(self, request: web.Request) -> None:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="Only the sandbox's own page may do this.")

    def _is_token(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


async def _send(socket: web.WebSocketResponse, unsent: asyncio.Queue[Json]) -> None:
    with suppress(ConnectionError):
        while unsent.qsize() <= MOST_UNSENT:
            await socket.send_json(await unsent.get())
    await socket.close(code=4408, message=b"Too slow")


async def _body(request: web.Request) -> Json:
    """The JSON object of a request; raises 400 with a sentence."""
    try:
        body = json.loads(await request.text())
    except (ValueError, LookupError, RecursionError):
        raise web.HTTPBadRequest(text="The body must be JSON.") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="The body must be a JSON object.")
    for name, value in body.items():
        if name not in NOT_TEXTS and not isinstance(value, str):
            raise web.HTTPBadRequest(text=f"{name} must be a text.")
    return _Arguments(body)


class _Arguments(dict[str, Any]):
    """What the page sends; a missing argument is a bad request, not a fault of the sandbox."""

    def __missing__(self, name: str) -> Any:
        raise web.HTTPBadRequest(text=f"{name} is missing.")


def _values(given: Any) -> Json:
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise web.HTTPBadRequest(text="values must be objects by block_id and action_id.")
    return given


def _outcome_json(outcome: Any) -> Json:
    if isinstance(outcome, Outcome):
        return {"ok": not outcome.error and not outcome.errors, "error": outcome.error, "errors": dict(outcome.errors)}
    return {"ok": True, "error": "", "errors": {}, "result": outcome}


def _is_mine_to_see(message: Message) -> bool:
    mine = message.channel == workspace.PERSON_DM or not message.channel.startswith("D")
    return mine and message.ephemeral_to in (None, ME)


def _channel_json(channel: workspace.Channel) -> Json:
    return {"id": channel.id, "name": channel.name, "is_im": channel.is_im, "members": sorted(channel.members)}

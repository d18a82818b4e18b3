"""The sandbox as a server on loopback: one port for the Web API, Socket Mode and the page."""

import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import logs
from app.errors import StartError
from app.sandbox import limits as rates
from app.sandbox.calls import Slack
from app.sandbox.control import Sandbox
from app.sandbox.faults import Faults
from app.sandbox.limits import Limiter, Rate
from app.sandbox.page import Page
from app.sandbox.people import People
from app.sandbox.response_urls import ResponseUrls
from app.sandbox.sockets import Sockets
from app.sandbox.tokens import Tokens
from app.sandbox.views import Views
from app.sandbox.web_api import WebApi
from app.sandbox.workspace import App, Workspace

HOST = "127.0.0.1"
MOST_BYTES = 1_000_000
log = logs.get("sandbox")


@asynccontextmanager
async def serve(
    *,
    port: int = 0,
    clock: Callable[[], float] = time.time,
    tokens: Tokens | None = None,
    app: App | None = None,
    limits: Mapping[str, Rate] = rates.SLACK,
    ack_timeout_s: float = 3.0,
) -> AsyncIterator[Sandbox]:
    """Run a sandbox for as long as the context lasts; port 0 is any free one. Raises StartError.

    `clock` gives seconds since 1970; `ack_timeout_s` is how long an envelope waits for its acknowledgement.
    """
    listener = _listen(port)
    root = f"http://{HOST}:{listener.getsockname()[1]}/"
    space = Workspace(clock, app or App())
    sockets = Sockets(space, random.SystemRandom(), ack_timeout_s)
    slack = Slack(space, Views(space), sockets, ResponseUrls(space, root), root)
    api = WebApi(slack, tokens or Tokens(), Limiter(clock, limits), Faults(sockets))
    people = People(slack)
    runner = web.AppRunner(_routes(api, Page(slack, people, api.tokens.page)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield Sandbox(slack, people, faults=api.faults, tokens=api.tokens, call_log=api.calls)
    finally:
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise StartError(f"{port} is no port: take one from 1 to 65535, or 0 for any that is free.")
    try:
        return socket.create_server((HOST, port))
    except PermissionError:
        raise StartError(f"Port {port} of this computer needs more rights: take one from 1024 to 65535.") from None
    except OSError:
        raise StartError(
            f"Port {port} of this computer is taken: stop what listens there, or set SANDBOX_PORT to another."
        ) from None


def _routes(api: WebApi, page: Page) -> web.Application:
    site = web.Application(middlewares=[_guard(api.slack.root)], client_max_size=MOST_BYTES)
    site.router.add_route("*", "/api/{method}", _foreign_pages_refused(api.serve))
    site.router.add_post("/commands/{team}/{key}", _foreign_pages_refused(api.serve_response_url))
    site.router.add_post("/actions/{team}/{key}", _foreign_pages_refused(api.serve_response_url))
    site.router.add_get("/link/", api.slack.sockets.serve)
    site.add_routes(page.routes())

    async def close(_: web.Application) -> None:
        await page.close()
        await api.slack.sockets.close()

    site.on_shutdown.append(close)
    return site


def _guard(root: str) -> Middleware:
    """Every request must name this server as its host, against DNS rebinding; none ends in a traceback."""
    own = root.removeprefix("http://").rstrip("/")
    hosts = (own, own.replace(HOST, "localhost"))

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Host") not in hosts:
            raise web.HTTPMisdirectedRequest(text=f"The sandbox answers only as {' and '.join(hosts)}.")
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            log.exception("The sandbox has failed to answer.", path=request.path)
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)

    return guard


def _foreign_pages_refused(handler: Handler) -> Handler:
    """No web page calls what is for the bot: browsers add an Origin, the bot never does."""

    async def refuse_origin(request: web.Request) -> web.StreamResponse:
        if "Origin" in request.headers:
            raise web.HTTPForbidden(text="This address is for the bot, not for web pages.")
        return await handler(request)

    return refuse_origin

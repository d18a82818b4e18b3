"""The Socket Mode connection: checked before it is opened, kept up, and closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from app import logs
from app.errors import StartError

PING_INTERVAL_S = 4.0
"""The SDK finds a silent socket after four of these."""

CHECK_EVERY_S = 1.0
PATIENCE_S = 10.0
"""How long the SDK may try to reconnect by itself before its client is thrown away and made anew."""

CLOSE_TIMEOUT_S = 2.0

log = logs.get(__name__)


@dataclass(frozen=True)
class Identity:
    """Who the bot is in its workspace."""

    team: str
    bot: str
    url: str


async def identify(client: AsyncWebClient, app_token: str) -> Identity:
    """Ask Slack who the bot is, and whether it may open a socket: a wrong token would otherwise show up only later.

    Raises StartError, in a line that names the setting.
    """
    who = await _checked(client.auth_test(), "SLACK_BOT_TOKEN")
    await _checked(client.apps_connections_open(app_token=app_token), "SLACK_APP_TOKEN")
    return Identity(team=str(who["team_id"]), bot=str(who["user_id"]), url=str(who["url"]))


@asynccontextmanager
async def connected(app: AsyncApp, app_token: str, *, loopback: bool) -> AsyncIterator[None]:
    """Hold a socket open for as long as the block runs.

    The SDK reconnects by itself after most faults. Some it tries for ever in vain (its issues 1110 and 1922, a session
    or an address that is used up), so that a client which stays down is replaced.
    """
    handler = await _open(app, app_token, loopback=loopback)
    keeper = asyncio.create_task(_keep(handler, app, app_token, loopback=loopback))
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep(handler: AsyncSocketModeHandler, app: AsyncApp, app_token: str, *, loopback: bool) -> None:
    down_s = 0.0
    try:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            down_s = 0.0 if await handler.client.is_connected() else down_s + CHECK_EVERY_S
            if down_s >= PATIENCE_S:
                log.warning("the socket stayed down; opening a new one", seconds=down_s)
                await _close(handler)
                handler, down_s = await _open(app, app_token, loopback=loopback, wait=False), 0.0
    finally:
        await _close(handler)


async def _open(app: AsyncApp, app_token: str, *, loopback: bool, wait: bool = True) -> AsyncSocketModeHandler:
    handler = AsyncSocketModeHandler(app, app_token=app_token, ping_interval=PING_INTERVAL_S)
    if loopback:
        handler.client.proxy = None  # the SDK would ask a proxy of the environment's for this computer, too
    connecting = asyncio.ensure_future(handler.connect_async())
    if wait:
        await connecting
    return handler


async def _close(handler: AsyncSocketModeHandler) -> None:
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        await asyncio.wait_for(handler.close_async(), CLOSE_TIMEOUT_S)


async def _checked(call: Awaitable[AsyncSlackResponse], setting: str) -> AsyncSlackResponse:
    try:
        return await call
    except SlackApiError as error:
        reason = error.response["error"] if isinstance(error.response, AsyncSlackResponse) else "an unreadable answer"
        raise StartError(f"{setting}: Slack refuses it ({reason}). Copy it again from the app's settings.") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StartError(f"SLACK_API_URL: no answer from Slack ({type(error).__name__}). Is the network up?") from None

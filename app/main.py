"""START HERE: assemble() makes every part once, in the order of their use; run() opens them and waits for the end."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import aiohttp
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Connection

from app import audit, generation, sandbox, settings
from app.db import Database
from app.gate import Gate
from app.mentions import HELP, Mentions
from app.ports import Clock, Generator, Seeds
from app.sandbox import Sandbox
from app.settings import Settings
from app.slack import chat, listeners, socket
from app.slack.socket import Identity

DRAIN_S = 4.0


@dataclass(frozen=True)
class Core:
    """What writes and records, without any Slack: all that the command line needs."""

    settings: Settings
    database: Database
    generator: Generator
    gate: Gate
    clock: Clock


@dataclass(frozen=True)
class Bot:
    """Every part, made and joined, but with no socket open."""

    core: Core
    mentions: Mentions
    slack: AsyncApp
    identity: Identity


def utc_now() -> datetime:
    """The time of this computer."""
    return datetime.now(UTC)


def random_seed() -> int:
    """A seed that nobody can guess, 0 to 2**63 - 1."""
    return secrets.randbits(63)


@asynccontextmanager
async def assemble_core(
    chosen: Settings,
    *,
    generator: Generator | None = None,
    clock: Clock = utc_now,
    seeds: Seeds = random_seed,
    serving: bool = False,
) -> AsyncIterator[Core]:
    """The database, brought to this version, and the engine. Raises StartError where either cannot be had."""
    database = Database(chosen.database, serving=serving)
    try:
        if serving:
            database.serve_alone()
        await asyncio.to_thread(database.migrate)
        async with nullcontext(generator) if generator else generation.running(chosen) as writer:
            gate = Gate(database, writer, clock, seeds, chosen.millzbot_reply_chars)
            yield Core(chosen, database, writer, gate, clock)
    finally:
        database.close()


@asynccontextmanager
async def assemble(
    chosen: Settings, *, generator: Generator | None = None, clock: Clock = utc_now, seeds: Seeds = random_seed
) -> AsyncIterator[Bot]:
    """Every part of the bot. Raises StartError where one cannot be had.

    Tests call this, too, and pass what they want to see or to steer.
    """
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=chat.CALL_TIMEOUT_S)) as session,
        assemble_core(chosen, generator=generator, clock=clock, seeds=seeds, serving=True) as core,
    ):
        client = slack_client(chosen, session)
        identity = await socket.identify(client, settings.reveal(chosen.slack_app_token))
        mentions = Mentions(core.database, core.gate, chat.SlackChat(client), clock)
        slack = AsyncApp(client=client)
        help_text = HELP.format(persona=core.generator.voice.persona)
        listeners.register(slack, mentions, team=identity.team, bot=identity.bot, help_text=help_text)
        yield Bot(core, mentions, slack, identity)


@asynccontextmanager
async def opened(bot: Bot) -> AsyncIterator[None]:
    """Answer for as long as the block runs, then take nothing new and bring to an end what is under way."""
    chosen = bot.core.settings
    await bot.core.database.write(_record_start, bot.core)
    try:
        loopback = settings.is_loopback(chosen.slack_api_url)
        async with socket.connected(bot.slack, settings.reveal(chosen.slack_app_token), loopback=loopback):
            await bot.mentions.take_up()
            yield
    finally:
        await bot.mentions.drain(DRAIN_S)


async def run(chosen: Settings, *, use_sandbox: bool, announce: Callable[[Bot, Sandbox | None], None]) -> None:
    """The bot, until SIGTERM or Ctrl-C. Raises StartError where it cannot start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _workspace(chosen, use_sandbox=use_sandbox) as (wired, local), assemble(wired) as bot, opened(bot):
        announce(bot, local)
        await stop.wait()


@asynccontextmanager
async def _workspace(chosen: Settings, *, use_sandbox: bool) -> AsyncIterator[tuple[Settings, Sandbox | None]]:
    if not use_sandbox:
        yield chosen, None
        return
    async with sandbox.serve(port=chosen.sandbox_port) as local:
        yield wire(chosen, local), local


def wire(chosen: Settings, local: Sandbox) -> Settings:
    """The settings with which the bot meets the local workspace; nothing else in the bot knows the difference."""
    return chosen.model_copy(
        update={
            "slack_api_url": local.api_url,
            "slack_bot_token": SecretStr(local.bot_token),
            "slack_app_token": SecretStr(local.app_token),
            "millzbot_admins": (local.person,),
            "millzbot_review_channel": local.review_channel,
        }
    )


def slack_client(chosen: Settings, session: aiohttp.ClientSession) -> AsyncWebClient:
    """Slack's Web API, with retries on 429 alone."""
    client = AsyncWebClient(
        token=settings.reveal(chosen.slack_bot_token),
        base_url=chosen.slack_api_url,
        session=session,
        retry_handlers=chat.rate_limit_handlers(),
    )
    if settings.is_loopback(chosen.slack_api_url):
        client.proxy = None  # the SDK would ask a proxy of the environment's for this computer, too
    return client


def _record_start(connection: Connection, core: Core) -> None:
    voice = core.generator.voice
    audit.record(
        connection,
        core.clock(),
        "started",
        audit.Subject(),
        version=version("millzbot"),
        artifact=voice.artifact,
        engine=voice.engine,
        consent=voice.consent,
        settings=core.settings.model_dump(mode="json", exclude=settings.SECRETS),
    )

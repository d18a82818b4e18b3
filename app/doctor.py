"""A look at everything that the bot needs: what is well, what is doubtful, what stops it."""

import platform
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import aiohttp

from app import generation, settings
from app.db import Database
from app.errors import MillzbotError
from app.main import random_seed, slack_client
from app.ports import Order, Sampling
from app.settings import Settings
from app.slack import socket

Verdict = Literal["ok", "warning", "fault"]

SAFE_SQLITE = (3, 51, 3)
FIXED_SQLITE = ((3, 44, 6), (3, 50, 7))
"""Releases without the WAL-reset bug (sqlite.org/wal.html)."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    said: str


async def examine() -> list[Finding]:
    """Look at each part in turn; what is broken never hides what comes after it."""
    findings = [_python(), _sqlite()]
    try:
        chosen = settings.read()
        local = settings.choose_sandbox(chosen, forced=False)
    except MillzbotError as error:
        return [*findings, Finding("settings", "fault", str(error))]
    findings.append(Finding("settings", "ok", "local workspace" if local else f"Slack at {chosen.slack_api_url}"))
    findings.append(await _tried("database", lambda: _database(chosen)))
    findings.append(await _tried("model", lambda: _model(chosen)))
    if not local:
        findings.append(await _tried("Slack", lambda: _slack(chosen)))
    return findings


async def _tried(what: str, look: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await look()
    except MillzbotError as error:
        return Finding(what, "fault", str(error))


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info < (3, 14)
    said = platform.python_version() if fits else f"{platform.python_version()}: use 3.11, 3.12 or 3.13"
    return Finding("Python", "ok" if fits else "fault", said)


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version_info
    patched = any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_SQLITE)
    if version >= SAFE_SQLITE or patched:
        return Finding("SQLite", "ok", sqlite3.sqlite_version)
    risk = "two processes that checkpoint at once can corrupt a database; millzbot keeps to one. 3.51.3 is better"
    return Finding("SQLite", "warning", f"{sqlite3.sqlite_version}: {risk}")


async def _database(chosen: Settings) -> Finding:
    database = Database(chosen.database)
    try:
        database.migrate()
    finally:
        database.close()
    kind = database.address.split(":", 1)[0]
    return Finding("database", "ok", f"{kind}, can be written, schema current")


async def _model(chosen: Settings) -> Finding:
    async with generation.running(chosen) as generator:
        order = Order("<|startoftext|>", random_seed(), Sampling(max_tokens=8), ())
        written = await generator.write(order)
    voice = generator.voice
    verdict: Verdict = "warning" if voice.consent == "unknown" else "ok"
    said = f"{voice.persona} ({voice.consent}), artifact {voice.artifact[:12]}, {written.tokens} tokens written"
    return Finding("model", verdict, said)


async def _slack(chosen: Settings) -> Finding:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        identity = await socket.identify(slack_client(chosen, session), settings.reveal(chosen.slack_app_token))
    return Finding("Slack", "ok", f"{identity.url} as {identity.bot}")

"""What the tests share: a database, a workspace, a bot that is joined to both."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from app import main, settings
from app.db import Database
from app.gate import Gate
from app.main import Bot
from app.mentions import Mentions
from app.sandbox import Sandbox, serve
from app.settings import Settings
from tests import postgresql
from tests.fakes import FakeChat, FakeClock, FakeGenerator, counting_seeds

BotStarter = Callable[..., AbstractAsyncContextManager[Bot]]


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The folder of a PostgreSQL server's socket."""
    with postgresql.server() as folder:
        yield folder


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database of this version."""
    yield from opened(f"sqlite:///{tmp_path / 'millzbot.db'}")


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of this version, in SQLite and then in PostgreSQL."""
    if request.param == "sqlite":
        yield from opened(f"sqlite:///{tmp_path / 'millzbot.db'}")
    else:
        folder = request.getfixturevalue("postgresql_server")
        yield from opened(postgresql.fresh_database(folder, f"test_{uuid.uuid4().hex}"))


def opened(address: str) -> Iterator[Database]:
    """A migrated database, closed in the end."""
    made = Database(address, serving=True)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands."""
    return FakeClock()


@pytest.fixture
def generator() -> FakeGenerator:
    """A writer that does as it is told."""
    return FakeGenerator()


@pytest.fixture
def chat() -> FakeChat:
    """A chat that remembers."""
    return FakeChat()


@pytest.fixture
def gate(database: Database, generator: FakeGenerator, clock: FakeClock) -> Gate:
    """The gate, over a real database."""
    return Gate(database, generator, clock, counting_seeds(), reply_chars=350)


@pytest.fixture
def mentions(database: Database, gate: Gate, chat: FakeChat, clock: FakeClock) -> Mentions:
    """The first story, over a real database."""
    return Mentions(database, gate, chat, clock)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A Slack workspace of the test's own."""
    async with serve(port=0) as workspace:
        yield workspace


@pytest.fixture
async def slack(sandbox: Sandbox) -> AsyncIterator[AsyncWebClient]:
    """Slack's own client with the bot's token; it tries nothing twice."""
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url, session=session, retry_handlers=[])


@pytest.fixture
def start_bot(sandbox: Sandbox, tmp_path: Path) -> BotStarter:
    """Start the bot in the workspace: the program's own assembly, with what the test wants in its place."""

    @asynccontextmanager
    async def start(*, given: dict[str, Any] | None = None, **fakes: Any) -> AsyncIterator[Bot]:
        chosen = main.wire(settings.read(millzbot_data=tmp_path, **(given or {})), sandbox)
        async with main.assemble(chosen, **fakes) as bot, main.opened(bot):
            yield bot

    return start

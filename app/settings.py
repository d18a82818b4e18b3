"""The only reader of the environment: every setting, typed, checked and frozen."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingError

SLACK_API_URL = "https://slack.com/api/"
SECRETS = {
    "slack_bot_token",
    "slack_app_token",
    "x_consumer_key",
    "x_consumer_secret",
    "x_access_token",
    "x_access_token_secret",
    "database_url",
}
"""What is never printed nor put into the log: an address of a database may hold a password."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Whether an address stays on this computer."""
    return urlsplit(url).hostname in LOOPBACK


def _api_address(value: str) -> str:
    if urlsplit(value).scheme != "https" and not (urlsplit(value).scheme == "http" and is_loopback(value)):
        raise ValueError("must be https, or http on this computer, since tokens travel to it")
    return value if value.endswith("/") else value + "/"


def _token(prefix: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and not value.startswith(prefix):
            raise ValueError(f"must be the token that starts with {prefix}")
        return value

    return BeforeValidator(check)


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _database_address(value: Any) -> Any:
    if value is None:
        return None
    for old in ("postgres://", "postgresql://"):
        if value.startswith(old):
            return "postgresql+psycopg://" + value.removeprefix(old)
    if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return value


class Settings(BaseSettings):
    """What the installer has decided. Each field's name in capitals is the variable; `.env` may hold them too."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    slack_bot_token: Annotated[SecretStr | None, _token("xoxb-")] = Field(
        None, description="the bot's token; without both tokens the sandbox starts", examples=["xoxb-…"]
    )
    slack_app_token: Annotated[SecretStr | None, _token("xapp-")] = Field(
        None, description="the app-level token with `connections:write`", examples=["xapp-…"]
    )
    slack_api_url: Annotated[str, BeforeValidator(_api_address)] = Field(
        SLACK_API_URL, description="where Web API calls go: https, or loopback", examples=[SLACK_API_URL]
    )
    x_consumer_key: SecretStr | None = Field(
        None, description="X, OAuth 1.0a: real keys never stand beside the sandbox", examples=["(from X)"]
    )
    x_consumer_secret: SecretStr | None = Field(None, description="as above", examples=["(from X)"])
    x_access_token: SecretStr | None = Field(None, description="as above", examples=["(from X)"])
    x_access_token_secret: SecretStr | None = Field(None, description="as above", examples=["(from X)"])
    millzbot_data: Path = Field(Path("data"), description="database and imported models", examples=["data"])
    database_url: Annotated[str | None, BeforeValidator(_database_address)] = Field(
        None,
        description="`sqlite:///FILE` or `postgresql://…`; by default `millzbot.db` in MILLZBOT_DATA",
        examples=["sqlite:////var/lib/millzbot/millzbot.db"],
    )
    model_path: Path = Field(
        Path(__file__).resolve().parents[1] / "model" / "demo",
        description="an artifact, a gpt-2-simple run folder or a Hugging Face GPT-2 folder",
        examples=["model/demo"],
    )
    model_threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="threads of the engine; by default what `millzbot model tune` found, or else all cores",
        examples=["2"],
    )
    model_queue: int = Field(
        64, ge=1, le=10_000, description="requests that may wait beside those in work", examples=["64"]
    )
    model_max_batch: int = Field(16, ge=1, le=256, description="texts that are written at once", examples=["16"])
    model_cache_mb: int = Field(
        1024,
        ge=1,
        le=1 << 20,
        description="memory for the texts in work; one alone always gets its own",
        examples=["1024"],
    )
    model_repeatable: bool = Field(
        True,
        description="the same request gives the same text whatever runs beside it; `false` is faster for one alone",
        examples=["true"],
    )
    millzbot_admins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (), description="Slack user ids of the curators, with commas", examples=["U012AB3CD,U045EF6GH"]
    )
    millzbot_review_channel: str | None = Field(
        None, pattern=r"^[CG][A-Z0-9]+$", description="id of the channel for candidates", examples=["C012AB3CD"]
    )
    millzbot_reply_chars: int = Field(
        350, ge=20, le=3000, description="longest answer, in characters", examples=["350"]
    )
    sandbox_port: int = Field(
        8090, ge=0, le=65535, description="port of the local workspace; 0 takes any free one", examples=["8090"]
    )

    @property
    def database(self) -> str:
        """SQLAlchemy's address of the database."""
        return self.database_url or f"sqlite:///{self.millzbot_data.resolve() / 'millzbot.db'}"

    @property
    def has_slack(self) -> bool:
        """Whether the bot is to talk to a Slack that somebody else runs."""
        return self.slack_bot_token is not None and self.slack_app_token is not None

    @property
    def has_x(self) -> bool:
        """Whether any real key of X is set."""
        return any((self.x_consumer_key, self.x_consumer_secret, self.x_access_token, self.x_access_token_secret))


def read(**given: Any) -> Settings:
    """The settings from the environment and `.env`, with those given on top.

    Raises SettingError, in one line that names the setting, the fault and a value that works.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingError(_sentence(error)) from None


def reveal(secret: SecretStr | None) -> str:
    """A secret's value, for the call that needs it."""
    return secret.get_secret_value() if secret else ""


def choose_sandbox(settings: Settings, *, forced: bool) -> bool:
    """Whether this start uses the local workspace instead of Slack.

    Raises SettingError where the settings contradict each other.
    """
    wanted = forced or _no_slack_wanted(settings)
    if wanted and settings.has_x:
        raise SettingError(
            "Keys of X are set, but the bot would talk to the sandbox, which must never reach X. "
            "Take the X_… settings out, or set SLACK_BOT_TOKEN and SLACK_APP_TOKEN."
        )
    return wanted


def _no_slack_wanted(settings: Settings) -> bool:
    if settings.has_slack:
        return False
    if settings.slack_bot_token or settings.slack_app_token:
        missing = "SLACK_APP_TOKEN" if settings.slack_bot_token else "SLACK_BOT_TOKEN"
        raise SettingError(f"{missing} is missing: set both of Slack's tokens, or neither to use the sandbox.")
    if settings.slack_api_url != SLACK_API_URL:
        raise SettingError("SLACK_API_URL is set without SLACK_BOT_TOKEN and SLACK_APP_TOKEN: set all three, or none.")
    return True


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0])
    field = Settings.model_fields.get(name)
    works = f" A value that works: {field.examples[0]}" if field and field.examples else ""
    fault = first["msg"].removeprefix("Value error, ")
    return f"{name.upper()}: {fault[0].lower()}{fault[1:]}.{works}"

"""What the installer may write, and what is said where it is wrong."""

import re
from pathlib import Path

import pytest

from app import settings
from app.errors import SettingError
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
BOT, APP = "xoxb-1", "xapp-1"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"slack_bot_token": "xapp-1"}, r"SLACK_BOT_TOKEN: .*starts with xoxb-.*"),
        ({"slack_api_url": "http://slack.example/api/"}, r"SLACK_API_URL: must be https, or http on this computer"),
        ({"model_threads": "many"}, r"MODEL_THREADS: .*A value that works: 2"),
        ({"model_threads": 0}, r"MODEL_THREADS: .*A value that works: 2"),
        ({"database_url": "mysql://x"}, r"DATABASE_URL: must start with sqlite:/// or postgresql://"),
        ({"millzbot_review_channel": "#review"}, r"MILLZBOT_REVIEW_CHANNEL: .*C012AB3CD"),
        ({"millzbot_reply_chars": 5}, r"MILLZBOT_REPLY_CHARS: "),
    ],
)
def test_a_wrong_value_is_named_with_one_that_works(given: dict[str, object], says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        settings.read(**given)
    assert "\n" not in str(caught.value)


def test_a_wrong_token_is_not_repeated() -> None:
    with pytest.raises(SettingError) as caught:
        settings.read(slack_bot_token="secret-1234")
    assert "secret-1234" not in str(caught.value)


def test_no_secret_is_printed_with_the_settings() -> None:
    chosen = settings.read(slack_bot_token="xoxb-secret", slack_app_token="xapp-secret", x_access_token="x-secret")
    shown = f"{chosen!r} {chosen.model_dump(mode='json', exclude=settings.SECRETS)}"
    assert "secret" not in shown.replace("_secret", "")


def test_without_tokens_the_sandbox_is_used() -> None:
    assert settings.choose_sandbox(settings.read(), forced=False)


def test_with_both_tokens_slack_is_used_unless_the_sandbox_is_forced() -> None:
    chosen = settings.read(slack_bot_token=BOT, slack_app_token=APP)
    assert not settings.choose_sandbox(chosen, forced=False)
    assert settings.choose_sandbox(chosen, forced=True)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"slack_bot_token": BOT}, "SLACK_APP_TOKEN is missing"),
        ({"slack_app_token": APP}, "SLACK_BOT_TOKEN is missing"),
    ],
)
def test_one_token_of_two_stops_the_start(given: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingError, match=missing):
        settings.choose_sandbox(settings.read(**given), forced=False)


def test_an_address_without_tokens_stops_the_start() -> None:
    with pytest.raises(SettingError, match="SLACK_API_URL is set without"):
        settings.choose_sandbox(settings.read(slack_api_url="http://127.0.0.1:1/api/"), forced=False)


@pytest.mark.parametrize("forced", [False, True])
def test_keys_of_x_beside_the_sandbox_stop_the_start(forced: bool) -> None:
    with pytest.raises(SettingError, match="must never reach X"):
        settings.choose_sandbox(settings.read(x_consumer_key="k"), forced=forced)


@pytest.mark.parametrize("old", ["postgres://u:p@h/d", "postgresql://u:p@h/d"])
def test_either_spelling_of_postgresql_is_understood(old: str) -> None:
    assert settings.read(database_url=old).database == "postgresql+psycopg://u:p@h/d"


def test_lists_are_written_with_commas() -> None:
    assert settings.read(millzbot_admins="U1, U2,").millzbot_admins == ("U1", "U2")


def test_readme_and_env_example_have_a_row_for_each_setting_and_no_other() -> None:
    names = {name.upper() for name in Settings.model_fields}
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    example = re.findall(r"^# ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(example) == sorted(names)

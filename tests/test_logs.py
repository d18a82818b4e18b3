"""The process's log."""

import json
import logging

import pytest

from app import logs

SECRETS = [
    "xoxb-12-34-abc",
    "xapp-1-A1-2-def",
    "xoxe.xoxp-1-abc",
    "Bearer abc.def~ghi",
    "wss://wss.example/link/?ticket=1234&app_id=5",
    "https://hooks.example/commands/T1/123/abc",
    "postgresql://user:password@host/db",
    'OAuth oauth_token="abc", oauth_signature="def"',
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_taken_out_of_every_record(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    logging.getLogger("slack_sdk").warning("said %s", secret)
    logs.get("app").warning("said", what=secret, inside={"deep": [secret]})
    printed = capsys.readouterr().err
    for part in ("12-34", "A1-2", "1-abc", "abc.def", "1234", "123/abc", "password", '"abc"'):
        assert part not in printed
    assert len([json.loads(line) for line in printed.splitlines()]) == 2


def test_a_traceback_is_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    try:
        raise ValueError("xoxb-12-34-abc")  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        logs.get("app").exception("failed")
    assert "12-34" not in capsys.readouterr().err

"""What the code agrees upon, kept by a test."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.sandbox import App

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path for folder in ("app", "model", "training", "migrations") for path in (ROOT / folder).rglob("*.py")
)
LONGEST_FUNCTION = 50
LONGEST_MODULE = 300


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_owns_one_thing_and_says_so(path: Path) -> None:
    source = path.read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree), f"{path}: what does it own?"
    assert len(source.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, f"{path}:{node.lineno} {node.name}"


def test_the_environment_is_read_in_one_place() -> None:
    reading = re.compile(r"environ\[|environ\.get|getenv")
    readers = [path.name for path in SOURCES if reading.search(path.read_text())]
    assert readers == []


def test_the_manifest_asks_for_four_scopes_and_no_more() -> None:
    manifest = json.loads((ROOT / "manifest.json").read_text())
    assert manifest["oauth_config"]["scopes"]["bot"] == ["app_mentions:read", "chat:write", "commands", "im:history"]
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert len(manifest["display_information"]["name"]) <= 35
    assert len(manifest["display_information"]["description"]) <= 140


def test_the_sandbox_has_the_app_installed_that_the_manifest_describes() -> None:
    described = App.from_manifest(json.loads((ROOT / "manifest.json").read_text()))
    assert (described.scopes, described.name) == (App().scopes, App().name)
    assert [name for name, _ in described.commands] == [name for name, _ in App().commands]


def test_slacks_command_line_finds_the_manifest_and_the_start() -> None:
    hook = [sys.executable, "-m", "slack_cli_hooks.hooks.get_manifest"]
    found = json.loads(subprocess.run(hook, cwd=ROOT, capture_output=True, check=True).stdout)
    assert found == json.loads((ROOT / "manifest.json").read_text())
    hooks = json.loads((ROOT / ".slack" / "hooks.json").read_text())["hooks"]
    assert hooks["start"] == "python3 -m app run"


def test_no_lock_names_an_index() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text()


def test_procfile_and_dockerfile_run_the_same_command() -> None:
    assert (ROOT / "Procfile").read_text().strip() == "worker: millzbot run"
    assert 'CMD ["millzbot", "run"]' in (ROOT / "Dockerfile").read_text()

# make run     the bot, with all that it needs
# make test    the tests, with all that they need
# make check   format, lint, types, import rules

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PROJECT := $(PIP) install --no-deps --editable .

.PHONY: run test check format setup system bench-reply demo-model screenshot lock clean

run: .venv/serving
	@$(BIN)/millzbot run

setup: .venv/all

test: .venv/all system
	$(BIN)/pytest

check: .venv/all
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Time from an envelope to the posted reply, 30 tokens of the demo model.
bench-reply: .venv/serving
	$(BIN)/python -m benchmarks.reply

# The artifact that ships, made again from the persona's posts: about an hour on two cores.
demo-model: .venv/all
	$(BIN)/python -m training.demo --out checkpoint/demo
	$(BIN)/millzbot model import checkpoint/demo --out model/demo --invented --persona Millz

# The picture in the README.
screenshot: .venv/all system
	$(BIN)/pytest -q tests/test_browser.py
	cp tests/screenshots/answer.png docs/sandbox.png

# What the tests need and pip does not bring.
system:
	@for need in chromium postgresql; do \
	  command -v $$need >/dev/null || ls /usr/lib/$$need/*/bin/initdb >/dev/null 2>&1 || { \
	    if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq $$need >/dev/null; \
	    else echo "The tests need it: sudo apt-get install $$need"; exit 1; fi; } || exit 1; \
	done

# Both locks from one resolution; without addresses of an index.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra training --extra dev --extra slack-cli pyproject.toml --output-file requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv build *.egg-info

.venv/pip:
	@test -n "$(PYTHON)" || { echo "millzbot needs Python 3.11, 3.12 or 3.13 (TensorFlow has no wheel for later ones)."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/serving: .venv/pip requirements.lock pyproject.toml
	@echo "Installing what the bot needs (once) ..."
	@test -e .venv/all || $(PIP) install --require-hashes --requirement requirements.lock
	@$(PROJECT)
	@touch $@

.venv/all: .venv/pip requirements-dev.lock pyproject.toml
	@echo "Installing what training and the tests need (once; TensorFlow is large) ..."
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PROJECT)
	@touch $@ .venv/serving

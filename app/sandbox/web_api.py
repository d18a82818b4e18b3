"""The Web API's door: /api/METHOD with its token, its limits and its faults, and /commands and /actions beside it."""

import asyncio
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from app.sandbox import calls, responses
from app.sandbox.calls import Arguments, Call, Slack
from app.sandbox.faults import RESET, Fault, Faults
from app.sandbox.limits import Limiter
from app.sandbox.methods import METHODS
from app.sandbox.refusals import Refusal
from app.sandbox.tokens import Tokens

Json = dict[str, Any]
Answer = Callable[[], Awaitable[web.Response]]

KEPT_CALLS = 10_000
ERROR = web.ResponseKey("error", str)
"""Slack's word for why a call failed, kept with its response."""


@dataclass
class WebApi:
    """Answers the app's calls and remembers them."""

    slack: Slack
    tokens: Tokens
    limiter: Limiter
    faults: Faults
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any HTTP method on /api/METHOD."""
        method = request.match_info["method"]
        arguments, error = await _read(request)

        async def answer() -> web.Response:
            return _refused(error, 400) if error else await self._answer(request, method, arguments)

        return await self._at_the_mercy_of_faults(request, method, arguments, answer)

    async def serve_response_url(self, request: web.Request) -> web.StreamResponse:
        """POST to a response_url."""
        arguments, error = await _read(request)

        async def answer() -> web.Response:
            if error:
                return _unusable("invalid_payload")
            try:
                await responses.respond(self.slack, request.match_info["key"], arguments)
            except Refusal as refusal:
                return _unusable(refusal.error)
            return web.Response(text="ok")

        return await self._at_the_mercy_of_faults(request, "response_url", arguments, answer)

    async def _at_the_mercy_of_faults(
        self, request: web.Request, method: str, arguments: Arguments, answer: Answer
    ) -> web.StreamResponse:
        """Answer a call, or do what the faults say; remember it in either case."""
        arrived = self.slack.space.clock()
        fault = self.faults.take(method)
        if fault.slow_s:
            await asyncio.sleep(fault.slow_s)
        response = await answer() if fault.status is None or fault.after_work else _faulty(fault)
        response = response if fault.status is None else _faulty(fault)
        status = RESET if fault.status == RESET else response.status
        made = {name: value for name, value in arguments.items() if name != "token"}
        self.calls.append(Call(method, made, arrived, status, response.get(ERROR, "")))
        self.slack.space.tell("call", self.calls[-1])
        if status == RESET and request.transport:
            request.transport.abort()
        return response

    async def _answer(self, request: web.Request, name: str, arguments: Arguments) -> web.Response:
        method = METHODS.get(name)
        if method is None:
            return _refused("unknown_method", req_method=name)
        try:
            self._check_token(request, arguments, of_app=method.of_app)
            wait_s = self.limiter.wait_s(name, str(arguments.get("channel")))
            if wait_s:
                return _rate_limited(wait_s)
            result = await method.work(self.slack, arguments)
        except Refusal as refusal:
            return _refused(refusal.error, **refusal.details)
        scopes = {"connections:write"} if method.of_app else self.slack.space.app.scopes
        return _json({"ok": True} | result, headers={"x-oauth-scopes": ",".join(sorted(scopes))})

    def _check_token(self, request: web.Request, arguments: Arguments, *, of_app: bool) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else calls.string(arguments, "token")
        right, other = (self.tokens.app, self.tokens.bot) if of_app else (self.tokens.bot, self.tokens.app)
        if not token:
            raise Refusal("not_authed")
        if _same(token, other):
            raise Refusal("not_allowed_token_type")
        if not _same(token, right):
            raise Refusal("invalid_auth")


async def _read(request: web.Request) -> tuple[Json, str]:
    """The arguments from query string, form and JSON body, and Slack's word for what is wrong with them."""
    arguments: Json = dict(request.query)
    try:
        if request.content_type == "application/json":
            body = json.loads(await request.text() or "{}")
            if not isinstance(body, dict):
                return arguments, "json_not_object"
            return arguments | body, ""
        if request.content_type == "multipart/form-data":
            return arguments, "invalid_post_type"
        form = await request.post()
    except (ValueError, LookupError, RecursionError):
        return arguments, "invalid_json" if request.content_type == "application/json" else "invalid_form_data"
    return arguments | {name: value for name, value in form.items() if isinstance(value, str)}, ""


def _faulty(fault: Fault) -> web.Response:
    if fault.status == 429:
        return _rate_limited(fault.retry_after_s)
    return _refused("internal_error", fault.status or 500)


def _rate_limited(wait_s: int) -> web.Response:
    return _json({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(wait_s)})


def _refused(error: str, status: int = 200, **details: Any) -> web.Response:
    return _json({"ok": False, "error": error} | details, status=status)


def _json(body: Json, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    response = web.json_response(body, status=status, headers=headers)
    response[ERROR] = body.get("error", "")
    return response


def _unusable(error: str) -> web.Response:
    response = web.Response(status=404 if error.endswith("_url") else 400, text=error)
    response[ERROR] = error
    return response


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())

"""The methods about modals and the Home tab: views.*."""

import json
from typing import Any

from app.sandbox import calls, shapes
from app.sandbox.calls import Arguments, Slack
from app.sandbox.refusals import Refusal
from app.sandbox.views import MOST_STACKED, View

Json = dict[str, Any]

MOST_BYTES = 250_000


async def open_view(slack: Slack, arguments: Arguments) -> Json:
    """views.open: a new modal, for whoever caused the trigger."""
    body = checked(slack, arguments, "modal")
    user = slack.views.exchange(calls.required(arguments, "trigger_id"))
    return {"view": slack.views.push(user, body).as_json()}


async def push(slack: Slack, arguments: Arguments) -> Json:
    """views.push: a modal over the one that is open."""
    body = checked(slack, arguments, "modal")
    user = slack.views.exchange(calls.required(arguments, "trigger_id"))
    if len(slack.views.stack(user)) >= MOST_STACKED:
        raise Refusal("push_limit_reached")
    return {"view": slack.views.push(user, body).as_json()}


async def update(slack: Slack, arguments: Arguments) -> Json:
    """views.update: new content in a modal that is still open."""
    view_id, external_id = calls.string(arguments, "view_id"), calls.string(arguments, "external_id")
    view = slack.views.find(view_id, external_id)
    if view is None:
        raise Refusal("not_found")
    _same(view, arguments)
    body = checked(slack, arguments, view.body["type"], replaces=view)
    return {"view": slack.views.update(view, body).as_json()}


async def publish(slack: Slack, arguments: Arguments) -> Json:
    """views.publish: somebody's Home tab."""
    user = calls.required(arguments, "user_id")
    if not slack.space.app.home_tab:
        raise Refusal("not_enabled")
    if slack.space.dm_of(user) is None:
        raise Refusal("invalid_arguments", "[ERROR] invalid `user_id` [json-pointer:/user_id]")
    body = checked(slack, arguments, "home")
    home = slack.views.home(user)
    if home:
        _same(home, arguments)
    return {"view": slack.views.publish(user, body).as_json()}


def checked(slack: Slack, arguments: Arguments, kind: str, replaces: View | None = None) -> Json:
    """The argument `view` as Slack takes it. Raises Refusal."""
    body: Json = calls.decoded(arguments, "view", "invalid_arguments")
    complaints = shapes.of_view(body)
    if not complaints and body["type"] != kind:
        complaints = [f"[ERROR] view type must be {kind} [json-pointer:/view/type]"]
    if complaints:
        raise Refusal("invalid_arguments", *complaints)
    if len(json.dumps(body)) > MOST_BYTES:
        raise Refusal("view_too_large")
    namesake = slack.views.find(external_id=body.get("external_id", ""))
    if namesake and namesake != replaces:
        raise Refusal("duplicate_external_id")
    return body


def _same(view: View, arguments: Arguments) -> None:
    """Refuse where the app has seen another state of the view than there is."""
    expected = calls.string(arguments, "hash")
    if expected and expected != view.hash:
        raise Refusal("hash_conflict")

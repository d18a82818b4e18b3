"""The sandbox's buttons, menus, modals, Home tab and response URLs, with the real Bolt behind them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from app.sandbox import App, Message, Sandbox, serve
from app.sandbox.refusals import Refusal
from tests.fakes import FakeSeconds

Json = dict[str, Any]
HOME_APP = App(
    shortcuts=(("queue", "Queue for X"),),
    events=frozenset({"app_mention", "message.im", "app_home_opened"}),
    home_tab=True,
)


@pytest.fixture
def clock() -> FakeSeconds:
    return FakeSeconds()


@pytest.fixture
async def sandbox(clock: FakeSeconds) -> AsyncIterator[Sandbox]:
    async with serve(clock=clock, app=HOME_APP) as running:
        yield running


@pytest.fixture
async def bolt(sandbox: Sandbox, slack: AsyncWebClient) -> AsyncIterator[AsyncApp]:
    app = AsyncApp(client=slack)
    handler = AsyncSocketModeHandler(app, sandbox.app_token)
    await handler.connect_async()
    await sandbox.until(lambda: sandbox.connections)
    yield app
    await handler.close_async()


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": plain(value.title()), "value": value}


CARD: list[Json] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "A *candidate*"}},
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {"type": "button", "action_id": "approve", "text": plain("Approve"), "value": "42", "style": "primary"},
            {"type": "overflow", "action_id": "more", "options": [option("now"), option("later")]},
        ],
    },
]
MODAL: Json = {
    "type": "modal",
    "callback_id": "edit",
    "private_metadata": "draft 42",
    "notify_on_close": True,
    "title": plain("Edit"),
    "submit": plain("Save"),
    "blocks": [
        {
            "type": "input",
            "block_id": "text",
            "label": plain("Text"),
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 20, "initial_value": "hello"},
        },
        {
            "type": "input",
            "block_id": "when",
            "optional": True,
            "label": plain("When"),
            "element": {"type": "datetimepicker", "action_id": "at"},
        },
        {
            "type": "section",
            "block_id": "more",
            "text": plain("Kind"),
            "accessory": {"type": "static_select", "action_id": "kind", "options": [option("short"), option("long")]},
        },
    ],
}


async def card(sandbox: Sandbox, slack: AsyncWebClient) -> Message:
    await slack.chat_postMessage(channel=sandbox.review_channel, text="A candidate", blocks=CARD)
    return sandbox.messages(sandbox.review_channel)[-1]


async def opened_modal(sandbox: Sandbox, slack: AsyncWebClient, view: Json = MODAL) -> None:
    await slack.views_open(trigger_id=sandbox.slack.views.new_trigger(sandbox.person), view=view)


async def test_a_button_tells_the_app_who_pressed_what_and_where(
    sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp
) -> None:
    bodies: list[Json] = []

    @bolt.action("approve")
    async def approve(ack: AsyncAck, body: Json, respond: AsyncRespond) -> None:
        await ack()
        bodies.append(body)
        await respond("approved", replace_original=True)

    posted = await card(sandbox, slack)
    assert (await sandbox.click(posted, "approve", user=sandbox.colleague)).error == ""
    await sandbox.until(lambda: sandbox.messages(sandbox.review_channel)[-1].text == "approved")

    (body,) = bodies
    assert body["user"]["id"] == sandbox.colleague
    assert (body["container"]["message_ts"], body["channel"]["name"]) == (posted.ts, "review")
    assert body["message"]["blocks"][1]["elements"][0]["value"] == "42"
    (action,) = body["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("approve", "row", "42")
    assert sandbox.messages(sandbox.review_channel)[-1].blocks == ()


async def test_a_menu_tells_the_option_that_was_chosen(sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp) -> None:
    chosen: list[Json] = []

    @bolt.action("more")
    async def more(ack: AsyncAck, action: Json) -> None:
        await ack()
        chosen.append(action["selected_option"])

    await sandbox.click(await card(sandbox, slack), "more", "later")
    assert chosen == [option("later")]


async def test_a_button_that_nobody_answers_fails(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    posted = await card(sandbox, slack)
    assert (await sandbox.click(posted, "approve")).error == "dispatch_failed"
    with pytest.raises(Refusal, match="action_not_found"):
        await sandbox.click(posted, "explode")


async def test_an_answer_to_a_button_is_whispered_unless_it_says_otherwise(
    sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp
) -> None:
    @bolt.action("approve")
    async def approve(ack: AsyncAck, respond: AsyncRespond) -> None:
        await ack()
        await respond("only curators can do that", replace_original=False)
        await respond("all may know", response_type="in_channel", replace_original=False)
        await respond(delete_original=True)

    posted = await card(sandbox, slack)
    await sandbox.click(posted, "approve")
    said = await sandbox.until(lambda: _without(posted, sandbox.messages(sandbox.review_channel)))
    assert [(one.text, one.ephemeral_to) for one in said] == [
        ("only curators can do that", sandbox.person),
        ("all may know", None),
    ]


def _without(gone: Message, messages: list[Message]) -> list[Message]:
    return [] if gone.ts in [one.ts for one in messages] else messages


async def test_a_response_url_is_good_five_times_and_half_an_hour(sandbox: Sandbox, clock: FakeSeconds) -> None:
    async def answer(url: str, body: Json) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
            return response.status, await response.text()

    urls = sandbox.slack.response_urls
    url = urls.new("commands", sandbox.channel("random"), sandbox.person)
    assert await answer(url, {"text": ""}) == (400, "no_text")
    assert await answer(url, {"text": "hi", "blocks": [{"type": "marquee"}]}) == (400, "invalid_blocks")
    assert [await answer(url, {"text": "hi"}) for _ in range(3)] == [(200, "ok")] * 3
    assert await answer(url, {"text": "hi"}) == (404, "used_url")

    late = urls.new("commands", sandbox.channel("random"), sandbox.person)
    clock.now += 30 * 60 + 1
    assert await answer(late, {"text": "hi"}) == (404, "expired_url")
    assert [one.error for one in sandbox.calls("response_url")][-2:] == ["used_url", "expired_url"]


async def test_a_modal_is_filled_in_and_sent(sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp) -> None:
    views: list[Json] = []

    @bolt.command("/millz")
    async def open_modal(ack: AsyncAck, command: Json, client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=command["trigger_id"], view=MODAL)
        await ack()

    @bolt.view("edit")
    async def save(ack: AsyncAck, view: Json) -> None:
        views.append(view)
        await ack()

    await sandbox.command("/millz", "edit", channel=sandbox.review_channel)
    view = sandbox.modal()
    assert view is not None
    outcome = await sandbox.submit(view, {"text": {"value": "better"}, "when": {"at": 1_700_000_000}})

    assert (outcome.error, outcome.errors, sandbox.modal()) == ("", {}, None)
    (sent,) = views
    assert sent["private_metadata"] == "draft 42"
    assert sent["state"]["values"] == {
        "text": {"value": {"type": "plain_text_input", "value": "better"}},
        "when": {"at": {"type": "datetimepicker", "selected_date_time": 1_700_000_000}},
        "more": {"kind": {"type": "static_select", "selected_option": None}},
    }


async def test_the_client_refuses_what_the_modal_does_not_allow(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    await opened_modal(sandbox, slack)
    view = sandbox.modal()
    assert view is not None
    assert "required" in (await sandbox.submit(view, {"text": {"value": ""}})).errors["text"]
    assert "20" in (await sandbox.submit(view, {"text": {"value": "x" * 21}})).errors["text"]
    assert (await sandbox.submit(view)).error == "dispatch_failed", "its first value would do"
    assert sandbox.modal() == view


@pytest.mark.parametrize(
    ("answer", "title", "error"),
    [
        ({"response_action": "errors", "errors": {"text": "too long"}}, "Edit", ""),
        ({"response_action": "errors", "errors": {"nothing": "wrong"}}, "Edit", "unexpected_response"),
        ({"response_action": "update", "view": MODAL | {"title": plain("Two")}}, "Two", ""),
        ({"response_action": "push", "view": MODAL | {"title": plain("Over it")}}, "Over it", ""),
        ({"response_action": "update", "view": MODAL | {"title": plain("x" * 25)}}, "Edit", "invalid_arguments"),
        ({"response_action": "clear"}, None, ""),
    ],
)
async def test_the_acknowledgement_says_what_becomes_of_the_modal(
    sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp, answer: Json, title: str | None, error: str
) -> None:
    @bolt.view("edit")
    async def save(ack: AsyncAck) -> None:
        await ack(**answer)

    await opened_modal(sandbox, slack)
    view = sandbox.modal()
    assert view is not None
    outcome = await sandbox.submit(view)
    top = sandbox.modal()
    assert (top.body["title"]["text"] if top else None) == title
    assert outcome.error == error
    assert dict(outcome.errors) == (answer.get("errors") if error == "" and "errors" in answer else {})


async def test_the_app_hears_of_a_closed_modal_if_it_wants(
    sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp
) -> None:
    closed: list[Json] = []

    @bolt.view_closed("edit")
    async def forget(ack: AsyncAck, body: Json) -> None:
        closed.append(body)
        await ack()

    for view in (MODAL, MODAL | {"notify_on_close": False}):
        await opened_modal(sandbox, slack, view)
        top = sandbox.modal()
        assert top is not None
        await sandbox.close(top)
    assert [(one["view"]["private_metadata"], one["is_cleared"]) for one in closed] == [("draft 42", False)]
    assert sandbox.modal() is None


async def test_a_trigger_is_good_once_and_not_for_long(
    sandbox: Sandbox, slack: AsyncWebClient, clock: FakeSeconds
) -> None:
    async def error(trigger: str) -> str:
        with pytest.raises(SlackApiError) as refused:
            await slack.views_open(trigger_id=trigger, view=MODAL)
        return str(refused.value.response["error"])

    trigger, late = (sandbox.slack.views.new_trigger(sandbox.person) for _ in range(2))
    await slack.views_open(trigger_id=trigger, view=MODAL)
    assert await error(trigger) == "exchanged_trigger_id"
    clock.now += 3.1
    assert await error(late) == "expired_trigger_id"
    assert await error("1.2.abc") == "invalid_trigger_id"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"title": plain("x" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
        ({"title": None}, "missing required field: title [json-pointer:/view]"),
        ({"submit": None}, "missing required field: submit [json-pointer:/view]"),
        ({"type": "page"}, "unsupported type: must be modal or home [json-pointer:/view/type]"),
        ({"private_metadata": "x" * 3001}, "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed [json-pointer:/view/blocks]"),
        ({"type": "home"}, "view type must be modal [json-pointer:/view/type]"),
    ],
)
async def test_a_bad_modal_is_refused(sandbox: Sandbox, slack: AsyncWebClient, fault: Json, message: str) -> None:
    with pytest.raises(SlackApiError) as refused:
        await opened_modal(sandbox, slack, MODAL | fault)
    assert refused.value.response["error"] == "invalid_arguments"
    assert f"[ERROR] {message}" in refused.value.response["response_metadata"]["messages"]


async def test_an_open_modal_is_updated_while_its_hash_holds(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    await opened_modal(sandbox, slack)
    view = sandbox.modal()
    assert view is not None
    changed = await slack.views_update(view_id=view.id, hash=view.hash, view=MODAL | {"title": plain("Two")})
    assert changed["view"]["id"] == view.id
    for arguments, error in (
        ({"view_id": view.id, "hash": view.hash}, "hash_conflict"),
        ({"view_id": "V0"}, "not_found"),
    ):
        with pytest.raises(SlackApiError, match=error):
            await slack.views_update(view=MODAL, **arguments)


async def test_modals_stack_three_deep(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    await opened_modal(sandbox, slack)
    for _ in range(2):
        await slack.views_push(trigger_id=sandbox.slack.views.new_trigger(sandbox.person), view=MODAL)
    with pytest.raises(SlackApiError, match="push_limit_reached"):
        await slack.views_push(trigger_id=sandbox.slack.views.new_trigger(sandbox.person), view=MODAL)
    stack = sandbox.slack.views.stack(sandbox.person)
    assert [one.previous_id for one in stack] == [None, stack[0].id, stack[1].id]


async def test_the_home_tab_is_published_and_used(sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp) -> None:
    @bolt.event("app_home_opened")
    async def publish(event: Json, client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": CARD})

    @bolt.action("approve")
    async def approve(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        await client.views_publish(user_id=body["user"]["id"], view={"type": "home", "blocks": []})
        await ack()

    await sandbox.open_home()
    home = await sandbox.until(sandbox.home)
    assert home is not None
    assert (await sandbox.click_in_view(home, "approve")).error == ""
    updated = sandbox.home()
    assert updated is not None
    assert (updated.id, updated.body["blocks"]) == (home.id, [])
    with pytest.raises(SlackApiError, match="hash_conflict"):
        await slack.views_publish(user_id=sandbox.person, view={"type": "home", "blocks": CARD}, hash=home.hash)


async def test_an_app_without_a_home_tab_cannot_publish_one_nor_hear_of_it() -> None:
    async with serve() as sandbox:
        slack = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
        with pytest.raises(SlackApiError, match="not_enabled"):
            await slack.views_publish(user_id=sandbox.person, view={"type": "home", "blocks": []})


async def test_a_message_shortcut_brings_the_message(sandbox: Sandbox, slack: AsyncWebClient, bolt: AsyncApp) -> None:
    texts: list[str] = []

    @bolt.message_shortcut("queue")
    async def queue(ack: AsyncAck, shortcut: Json) -> None:
        texts.append(shortcut["message"]["text"])
        await ack()

    await slack.chat_postMessage(channel="#general", text="queue me")
    outcome = await sandbox.shortcut("queue", sandbox.messages(sandbox.channel("general"))[0])
    assert (outcome.error, texts) == ("", ["queue me"])

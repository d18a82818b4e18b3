"""The sandbox's Web API: what it answers, and what it refuses in Slack's words."""

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from app.sandbox import NO_LIMITS, App, Message, Refusal, Sandbox, serve

EVERY_SCOPE = App(
    scopes=frozenset(
        "chat:write reactions:write users:read im:write im:read im:history channels:read channels:history".split()
    ),
    home_tab=True,
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(app=EVERY_SCOPE, limits=NO_LIMITS) as running:
        yield running


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(SlackApiError) as refused:
        await call
    return str(refused.value.response["error"])


async def complaints(call: Awaitable[Any]) -> list[str]:
    with pytest.raises(SlackApiError) as refused:
        await call
    return list(refused.value.response["response_metadata"]["messages"])


async def test_auth_test_says_who_the_bot_is_and_what_it_may(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    answer = await slack.auth_test()
    assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == (sandbox.bot, "B0MILLZBOT", "T0SANDBOX")
    assert "chat:write" in str(answer.headers["x-oauth-scopes"])


async def test_tokens_are_refused_as_slack_refuses_them(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    assert await refusal(slack.auth_test(token="xoxb-wrong")) == "invalid_auth"
    assert await refusal(slack.auth_test(token="")) == "not_authed"
    assert await refusal(slack.auth_test(token=sandbox.app_token)) == "not_allowed_token_type"
    assert await refusal(slack.apps_connections_open(app_token=sandbox.bot_token)) == "not_allowed_token_type"
    assert await refusal(slack.apps_connections_open(app_token="xapp-wrong")) == "invalid_auth"


async def test_an_unknown_method_is_refused(slack: AsyncWebClient) -> None:
    assert await refusal(slack.api_call("chat.shout")) == "unknown_method"


async def test_a_scope_that_was_not_granted_is_missed(sandbox: Sandbox) -> None:
    async with serve() as four_scopes:
        slack = AsyncWebClient(token=four_scopes.bot_token, base_url=four_scopes.api_url)
        assert await refusal(slack.users_info(user=four_scopes.person)) == "missing_scope"
        assert await refusal(slack.reactions_add(channel="C0GENERAL", timestamp="1.1", name="eyes")) == "missing_scope"
        await slack.chat_postMessage(channel="#general", text="this one is granted")


async def test_a_manifest_says_what_the_app_may_and_has() -> None:
    manifest = {
        "features": {
            "app_home": {"home_tab_enabled": True},
            "bot_user": {"display_name": "parrot"},
            "slash_commands": [{"command": "/squawk", "usage_hint": "[word]"}],
            "shortcuts": [
                {"type": "message", "callback_id": "repeat", "name": "Repeat this"},
                {"type": "global", "callback_id": "new", "name": "New"},
            ],
        },
        "oauth_config": {"scopes": {"bot": ["chat:write"]}},
        "settings": {"event_subscriptions": {"bot_events": ["message.im"]}},
    }
    app = App.from_manifest(manifest)
    assert app == App(
        name="parrot",
        scopes=frozenset({"chat:write"}),
        commands=(("/squawk", "[word]"),),
        shortcuts=(("repeat", "Repeat this"),),
        events=frozenset({"message.im"}),
        home_tab=True,
    )
    async with serve(app=app) as sandbox:
        await sandbox.say(sandbox.channel("general"), "@parrot hello")
        assert sandbox.messages(sandbox.channel("general"))[0].pings == (sandbox.bot,)
        assert sandbox.delivered == 0, "it does not subscribe to app_mention"


async def test_a_message_is_posted_and_shown(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    answer = await slack.chat_postMessage(channel=sandbox.channel("general"), text="hello")
    (message,) = sandbox.messages(sandbox.channel("general"))
    assert (message.ts, message.text, message.user) == (answer["ts"], "hello", sandbox.bot)
    assert answer["message"]["bot_id"] == "B0MILLZBOT"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": "hello"}, "channel_not_found"),
        ({"channel": "C0NOWHERE", "text": "hello"}, "channel_not_found"),
        ({"channel": "#random", "text": "hello"}, "not_in_channel"),
        ({"channel": "#general"}, "no_text"),
        ({"channel": "#general", "text": " \n"}, "no_text"),
        ({"channel": "#general", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "#general", "text": "hello", "thread_ts": "1.000001"}, "thread_not_found"),
        ({"channel": "#general", "text": "hello", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"channel": "#general", "text": "hello", "blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ({"channel": "#general", "text": "hello", "blocks": "[no json"}, "invalid_blocks_format"),
        ({"channel": "#general", "text": "hello", "markdown_text": "hello"}, "markdown_text_conflict"),
        ({"channel": "#general", "text": "hello", "metadata": {"no": "type"}}, "invalid_metadata_schema"),
        ({"channel": "#general", "text": ["hello"]}, "invalid_arguments"),
    ],
)
async def test_a_bad_message_is_refused(slack: AsyncWebClient, arguments: dict[str, Any], error: str) -> None:
    assert await refusal(slack.api_call("chat.postMessage", json=arguments)) == error


async def test_nobody_replies_to_a_reply_or_to_what_is_not_there_for_all(
    sandbox: Sandbox, slack: AsyncWebClient
) -> None:
    general = sandbox.channel("general")
    parent = await sandbox.say(general, "hello")
    reply = await sandbox.say(general, "yes?", thread_ts=parent)
    whisper = await slack.chat_postEphemeral(channel=general, user=sandbox.person, text="psst")
    for ts, error in ((reply, "cannot_reply_to_message"), (whisper["message_ts"], "thread_not_found")):
        assert await refusal(slack.chat_postMessage(channel=general, text="no", thread_ts=ts)) == error


@pytest.mark.parametrize(
    ("text", "pings", "unfurl"),
    [
        ("plain @channel and @Robin", (), False),
        ("&lt;!channel&gt; &lt;@U0ROBIN&gt;", (), False),
        ("<!channel> and <@U0ROBIN> and <@U0ROBIN|again>", ("!channel", "U0ROBIN"), False),
        ("<!here|now> <!subteam^S123>", ("!here", "!subteam^S123"), False),
        ("look at https://example.com/", (), True),
        ("look <https://example.com/|here>", (), True),
    ],
)
async def test_pings_and_unfurls_are_noticed(
    sandbox: Sandbox, slack: AsyncWebClient, text: str, pings: tuple[str, ...], unfurl: bool
) -> None:
    await slack.chat_postMessage(channel="#general", text=text)
    await slack.chat_postMessage(channel="#general", text=text, unfurl_links=False, unfurl_media=False)
    open_one, closed_one = sandbox.messages(sandbox.channel("general"))
    assert (open_one.pings, open_one.unfurl) == (pings, unfurl)
    assert (closed_one.pings, closed_one.unfurl) == (pings, False)


async def test_pings_hide_in_blocks_and_in_link_names(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "<!everyone>"}}
    plain = {"type": "section", "text": {"type": "plain_text", "text": "<!here>"}}
    inside = [{"type": "user", "user_id": "U0ROBIN"}, {"type": "broadcast", "range": "channel"}]
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": inside}]}
    await slack.chat_postMessage(channel="#general", text="blocks", blocks=[section, plain, rich])
    await slack.chat_postMessage(channel="#general", text="@Robin @channel", link_names=True)
    blocks, named = sandbox.messages(sandbox.channel("general"))
    assert blocks.pings == ("!everyone", "U0ROBIN", "!channel")
    assert named.pings == ("U0ROBIN", "!channel")


async def test_blocks_are_refused_with_slack_s_pointer(slack: AsyncWebClient) -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    button = {"type": "button", "text": {"type": "mrkdwn", "text": "no"}, "action_id": "twice", "value": "v" * 2001}
    actions = {"type": "actions", "elements": [button, button]}
    said = await complaints(slack.chat_postMessage(channel="#general", text="x", blocks=[long, actions]))
    assert said == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
        "[ERROR] must be one of: plain_text [json-pointer:/blocks/1/elements/0/text/type]",
        "[ERROR] must be less than 2001 characters [json-pointer:/blocks/1/elements/0/value]",
        "[ERROR] must be one of: plain_text [json-pointer:/blocks/1/elements/1/text/type]",
        "[ERROR] must be less than 2001 characters [json-pointer:/blocks/1/elements/1/value]",
        "[ERROR] action_id must be unique [json-pointer:/blocks/1/elements]",
    ]


MISSING = Message(channel="C0GENERAL", ts="1.1", user="", text="")
KEYS = ["type", "text", "elements", "element", "accessory", "fields", "options", "block_id", "action_id", "label"]
TYPES = ["section", "actions", "context", "input", "header", "rich_text", "divider", "button", "static_select", "card"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
typed_objects = st.fixed_dictionaries({"type": st.sampled_from(TYPES)}, optional=dict.fromkeys(KEYS[1:], json_values))


@given(blocks=st.lists(typed_objects | json_values, max_size=3) | json_values)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_blocks_break_the_sandbox(sandbox: Sandbox, blocks: Any) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {sandbox.bot_token}"}) as session:
        for method, body in (
            ("chat.postMessage", {"channel": "#general", "text": "x", "blocks": blocks}),
            ("views.publish", {"user_id": sandbox.person, "view": {"type": "home", "blocks": blocks}}),
        ):
            async with session.post(f"{sandbox.api_url}{method}", json=body) as answer:
                refused = (await answer.json()).get("error", "")
            assert answer.status == 200
            assert refused == "" or refused.startswith("invalid_")
        with suppress(Refusal):
            await sandbox.click((sandbox.messages(sandbox.channel("general")) or [MISSING])[-1], "x")


async def test_arguments_come_as_json_as_a_form_or_in_the_address(sandbox: Sandbox) -> None:
    url, section = f"{sandbox.api_url}chat.postMessage", {"type": "section", "text": {"type": "mrkdwn", "text": "b"}}
    asked = {"channel": "#general", "text": "hello"}
    async with aiohttp.ClientSession() as session:
        await session.post(url, json=asked | {"token": sandbox.bot_token, "blocks": [section]})
        await session.post(url, data=asked | {"token": sandbox.bot_token, "blocks": json.dumps([section])})
        await session.post(url, params=asked | {"token": sandbox.bot_token})
        await session.get(url, params=asked | {"token": sandbox.bot_token})
    said = sandbox.messages(sandbox.channel("general"))
    assert [one.text for one in said] == ["hello"] * 4
    assert [len(one.blocks) for one in said] == [1, 1, 0, 0]
    assert all("token" not in call.arguments for call in sandbox.calls())


@pytest.mark.parametrize(
    ("body", "kind", "status", "error"),
    [
        (b"{no json", "application/json", 400, "invalid_json"),
        (b"[1]", "application/json", 400, "json_not_object"),
        (b"\xff\xfe", "application/json", 400, "invalid_json"),
        (b"[" * 100_000, "application/json", 400, "invalid_json"),
        (
            b'{"channel": "#general", "blocks": ' + b"[" * 500 + b"]" * 500 + b"}",
            "application/json",
            200,
            "invalid_blocks_format",
        ),
        (b"x", "multipart/form-data; boundary=x", 400, "invalid_post_type"),
    ],
)
async def test_a_body_that_is_none_is_told_so(
    sandbox: Sandbox, body: bytes, kind: str, status: int, error: str
) -> None:
    headers = {"Authorization": f"Bearer {sandbox.bot_token}", "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.api_url}chat.postMessage", data=body, headers=headers) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_a_body_over_a_megabyte_is_not_read(sandbox: Sandbox) -> None:
    async with (
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
        session.post(f"{sandbox.api_url}chat.postMessage", data=BytesIO(b" " * 1_100_000)) as answer,
    ):
        assert answer.status == 413


async def test_an_update_keeps_blocks_only_where_no_text_comes(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    general, section = sandbox.channel("general"), {"type": "section", "text": {"type": "mrkdwn", "text": "b"}}
    posted = await slack.chat_postMessage(channel=general, text="one", blocks=[section])
    kept = {"channel": general, "ts": posted["ts"], "metadata": {"event_type": "x", "event_payload": {}}}
    await slack.api_call("chat.update", json=kept)
    assert len(sandbox.messages(general)[0].blocks) == 1
    await slack.chat_update(channel=general, ts=posted["ts"], text="two")
    (message,) = sandbox.messages(general)
    assert (message.text, message.blocks, message.metadata) == ("two", (), {"event_type": "x", "event_payload": {}})
    too_long = slack.chat_update(channel=general, ts=posted["ts"], text="x" * 4001)
    assert await refusal(too_long) == "msg_too_long"


async def test_only_its_own_messages_can_be_changed_or_deleted(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    general = sandbox.channel("general")
    theirs = await sandbox.say(general, "mine")
    whisper = (await slack.chat_postEphemeral(channel=general, user=sandbox.person, text="psst"))["message_ts"]
    own = (await slack.chat_postMessage(channel=general, text="own"))["ts"]

    assert await refusal(slack.chat_update(channel=general, ts=theirs, text="no")) == "cant_update_message"
    assert await refusal(slack.chat_update(channel=general, ts=whisper, text="no")) == "message_not_found"
    assert await refusal(slack.chat_delete(channel=general, ts=theirs)) == "cant_delete_message"
    await slack.chat_delete(channel=general, ts=own)
    assert await refusal(slack.chat_delete(channel=general, ts=own)) == "message_not_found"
    assert [one.ts for one in sandbox.messages(general)] == [theirs, whisper]


async def test_an_ephemeral_message_is_for_one_member(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    general = sandbox.channel("general")
    await slack.chat_postEphemeral(channel=general, user=sandbox.colleague, text="psst")
    assert sandbox.messages(general)[0].ephemeral_to == sandbox.colleague
    outsider = slack.chat_postEphemeral(channel=general, user="U0NOBODY", text="psst")
    assert await refusal(outsider) == "user_not_in_channel"


async def test_nobody_sees_an_ephemeral_message_in_a_thread_without_replies(
    sandbox: Sandbox, slack: AsyncWebClient
) -> None:
    general = sandbox.channel("general")
    ts = await sandbox.say(general, "hello")
    for count in (1, 3):
        await slack.chat_postEphemeral(channel=general, user=sandbox.person, text="psst", thread_ts=ts)
        assert len(sandbox.messages(general, thread_ts=ts)) == count
        await sandbox.say(general, "a reply", thread_ts=ts)


async def test_threads_and_channels_can_be_read(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    general = sandbox.channel("general")
    parent = await sandbox.say(general, "hello")
    reply = await slack.chat_postMessage(channel=general, text="hi", thread_ts=parent)
    await slack.chat_postEphemeral(channel=general, user=sandbox.person, text="psst")

    thread = await slack.conversations_replies(channel=general, ts=reply["ts"])
    assert [one["text"] for one in thread["messages"]] == ["hello", "hi"]
    assert (thread["messages"][0]["reply_count"], thread["messages"][0]["latest_reply"]) == (1, reply["ts"])
    read = await slack.conversations_history(channel=general, limit=1)
    assert [one["text"] for one in read["messages"]] == ["hello"]
    assert await refusal(slack.conversations_replies(channel=general, ts="1.000001")) == "thread_not_found"
    assert await refusal(slack.conversations_history(channel="#random")) == "not_in_channel"


async def test_long_lists_come_in_pages(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    first = await slack.conversations_list(limit=2)
    second = await slack.conversations_list(limit=2, cursor=first["response_metadata"]["next_cursor"])
    names = [one["name"] for page in (first, second) for one in page["channels"]]
    assert names == ["general", "random", "review"]
    assert "response_metadata" not in second.data
    assert await refusal(slack.conversations_list(cursor="nowhere")) == "invalid_cursor"


async def test_people_and_channels_can_be_looked_up(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    assert (await slack.users_info(user=sandbox.person))["user"]["is_bot"] is False
    assert (await slack.users_info(user=sandbox.bot))["user"]["is_bot"] is True
    assert await refusal(slack.users_info(user="U0NOBODY")) == "user_not_found"
    assert (await slack.conversations_open(users=sandbox.person))["channel"]["id"] == sandbox.dm
    assert (await slack.conversations_info(channel="#random"))["channel"]["is_member"] is False
    assert sandbox.bot in (await slack.conversations_members(channel="#general"))["members"]
    posted = await slack.chat_postMessage(channel=sandbox.person, text="to a person is to the conversation with them")
    assert posted["channel"] == sandbox.dm
    link = await slack.chat_getPermalink(channel=sandbox.dm, message_ts=posted["ts"])
    assert link["permalink"] == f"{sandbox.page_url}#{sandbox.dm}/{posted['ts']}"


async def test_a_reaction_is_put_once(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    ts = await sandbox.say(sandbox.dm, "hello")
    await slack.reactions_add(channel=sandbox.dm, timestamp=ts, name="eyes")
    again = slack.reactions_add(channel=sandbox.dm, timestamp=ts, name="eyes")
    assert await refusal(again) == "already_reacted"
    assert sandbox.messages(sandbox.dm)[0].reactions == (("eyes", sandbox.bot),)


async def test_a_status_wants_a_message(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    def status(**more: Any) -> Awaitable[Any]:
        asked = {"channel_id": sandbox.dm, "thread_ts": "1.000001", "status": "is thinking…"} | more
        return slack.api_call("assistant.threads.setStatus", json=asked)

    ts = await sandbox.say(sandbox.dm, "hello")
    await status(thread_ts=ts, loading_messages=["one moment"])
    assert [one.text for one in sandbox.statuses()] == ["is thinking…"]
    assert await refusal(status()) == "invalid_thread_ts"
    assert await refusal(status(channel_id="C0NOWHERE")) == "channel_not_found"
    assert await refusal(status(thread_ts=ts, loading_messages=["x"] * 11)) == "invalid_arguments"


async def test_calls_are_remembered_with_what_they_got(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    await refusal(slack.chat_postMessage(channel="#random", text="hello"))
    await slack.chat_postMessage(channel="#general", text="hello")
    assert [(one.status, one.error) for one in sandbox.calls("chat.postMessage")] == [
        (200, "not_in_channel"),
        (200, ""),
    ]
    assert sandbox.calls()[-1].arguments["text"] == "hello"

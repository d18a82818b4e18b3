"""What people do in the workspace, and what the app is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.sandbox import blocks, envelopes, modals, mrkdwn, responses, workspace
from app.sandbox.calls import Slack
from app.sandbox.refusals import Refusal
from app.sandbox.sockets import Unanswered
from app.sandbox.views import View
from app.sandbox.workspace import Channel, Message, User

Json = dict[str, Any]
Chosen = Mapping[str, Mapping[str, Any]]
"""What stands in the inputs of a modal, by block_id and action_id."""


@dataclass(frozen=True)
class Outcome:
    """What came of an interaction: Slack's word for what went wrong (empty: nothing), and a modal's field errors.

    `answer` is the payload of the acknowledgement.
    """

    error: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class People:
    """Everyone's hands. Every method takes the id of the person who acts; unknown things raise Refusal."""

    slack: Slack

    async def say(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> str:
        """Write a message: its time stamp. `@name` becomes a mention, as in Slack's own client."""
        space, who, where = self.slack.space, self._user(user), self._channel(channel, user)
        parent = self._message(channel, thread_ts, user) if thread_ts else None
        body, shown = self._typed(text)
        message = Message(
            channel=channel,
            ts=space.next_ts(),
            user=user,
            text=body,
            blocks=shown,
            thread_ts=(parent.thread_ts or parent.ts) if parent else None,
            bot_id=who.bot_id,
        )
        message = space.post(message)
        await self._tell_of(message, where)
        return message.ts

    async def edit(self, user: str, channel: str, ts: str, text: str) -> None:
        """Give one's own message another text."""
        space, old = self.slack.space, self._own(user, channel, ts)
        body, shown = self._typed(text)
        new = space.post(replace(old, text=body, blocks=shown, edited_ts=space.next_ts()))
        if space.channels[channel].is_im:
            await self.slack.sockets.tell(envelopes.message_changed(space, new, old))

    async def delete(self, user: str, channel: str, ts: str) -> None:
        """Take one's own message away."""
        old = self._own(user, channel, ts)
        self.slack.space.delete(old)
        if self.slack.space.channels[channel].is_im:
            await self.slack.sockets.tell(envelopes.message_deleted(self.slack.space, old))

    async def command(self, user: str, channel: str, command: str, text: str) -> Outcome:
        """Type a slash command."""
        where = self._channel(channel, user)
        if command == "/invite":
            return self._invite(user, where, text)
        if command not in dict(self.slack.space.app.commands):
            self._whisper(user, where, f"{command} is not a valid command.")
            return Outcome(error="invalid_command")
        sent = mrkdwn.typed(text.strip(), self.slack.space.ids_by_name(), with_names=True)
        payload = envelopes.slash_command(self._user(user), where, command, sent)
        payload["trigger_id"] = self.slack.views.new_trigger(user)
        payload["response_url"] = self.slack.response_urls.new("commands", channel, user)
        outcome = await self._ask("slash_commands", payload)
        if outcome.error:
            self._whisper(user, where, f"{command} failed with the error “{outcome.error}”.")
            return outcome
        return await self._heard(user, where, outcome)

    async def click(self, user: str, channel: str, ts: str, action_id: str, *, chosen: Any = None) -> Outcome:
        """Use a button of a message, or choose in a menu of it the option with the value `chosen`."""
        where, message = self._channel(channel, user), self._message(channel, ts, user)
        payload = self._action(user, message.blocks, action_id, chosen) | envelopes.of_message(message, where)
        payload["response_url"] = self.slack.response_urls.new("actions", channel, user, message)
        return await self._ask("interactive", payload)

    async def click_in_view(
        self, user: str, view_id: str, action_id: str, *, chosen: Any = None, values: Chosen | None = None
    ) -> Outcome:
        """The same in a modal or on the Home tab; `values` is what stands in the inputs."""
        view = self._view(user, view_id)
        payload = self._action(user, view.body["blocks"], action_id, chosen)
        state = blocks.state(view.body["blocks"], values or {})
        return await self._ask("interactive", payload | envelopes.of_view(view, state))

    async def submit(self, user: str, view_id: str, values: Chosen) -> Outcome:
        """Send a modal off; it stays where the outcome has errors."""
        view = self._view(user, view_id)
        state = blocks.state(view.body["blocks"], values)
        missing = blocks.missing(view.body["blocks"], state["values"])
        if missing:
            return Outcome(errors=missing)
        payload = envelopes.view_submission(self._user(user), view, state)
        payload["trigger_id"] = self.slack.views.new_trigger(user)
        outcome = await self._ask("interactive", payload)
        return outcome if outcome.error else self._submitted(view, outcome)

    async def close(self, user: str, view_id: str, *, whole_stack: bool = False) -> Outcome:
        """Close a modal, or all that are open."""
        view = self._view(user, view_id)
        self.slack.views.close(view, whole_stack=whole_stack)
        if not view.body.get("notify_on_close"):
            return Outcome()
        return await self._ask("interactive", envelopes.view_closed(self._user(user), view, is_cleared=whole_stack))

    async def shortcut(self, user: str, callback_id: str, channel: str, ts: str) -> Outcome:
        """Choose one of the app's shortcuts in the menu of a message."""
        where, message = self._channel(channel, user), self._message(channel, ts, user)
        payload = envelopes.message_action(self._user(user), callback_id, message, where)
        payload["trigger_id"] = self.slack.views.new_trigger(user)
        payload["response_url"] = self.slack.response_urls.new("actions", channel, user, message)
        return await self._ask("interactive", payload)

    async def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the app: its Home tab, or with `messages` the conversation with it."""
        home = self.slack.views.home(user)
        await self.slack.sockets.tell(envelopes.app_home_opened(self.slack.space, user, tab, home))

    def _typed(self, text: str) -> tuple[str, tuple[Json, ...]]:
        """What Slack's client sends of what a person types: text, and the same as blocks."""
        if not text.strip():
            raise Refusal("no_text")
        body = mrkdwn.typed(text, self.slack.space.ids_by_name())
        return body, blocks.completed([mrkdwn.rich_text(body)], self.slack.space.next_id)

    async def _tell_of(self, message: Message, where: Channel) -> None:
        """Tell the app what it would hear of a message, and the person what Slack would say."""
        space = self.slack.space
        mentioned = workspace.BOT in message.pings
        if where.is_im:
            await self.slack.sockets.tell(envelopes.message_im(space, message))
        elif mentioned and space.bot_is_in(where.id):
            await self.slack.sockets.tell(envelopes.app_mention(space, message))
        elif mentioned:
            name = space.app.name
            self._whisper(message.user, where, f"{name} is not in this channel. Let it in with /invite @{name}")

    async def _ask(self, kind: str, payload: Json) -> Outcome:
        try:
            return Outcome(answer=await self.slack.sockets.ask(kind, payload))
        except Unanswered as reason:
            return Outcome(error=str(reason))

    async def _heard(self, user: str, where: Channel, outcome: Outcome) -> Outcome:
        """Show what the app said in its acknowledgement of a command."""
        if outcome.answer.get("text") or outcome.answer.get("blocks"):
            try:
                await responses.answer(self.slack, where.id, user, outcome.answer)
            except Refusal as refusal:
                self._whisper(user, where, f"The app's answer cannot be shown: {refusal.error}.")
                return replace(outcome, error=refusal.error)
        return outcome

    def _submitted(self, view: View, outcome: Outcome) -> Outcome:
        """Do with a modal what the app's acknowledgement says."""
        answer, views = outcome.answer, self.slack.views
        try:
            match answer.get("response_action"):
                case None:
                    views.close(view)
                case "clear":
                    views.close(view, whole_stack=True)
                case "update":
                    views.update(view, modals.checked(self.slack, answer, "modal", replaces=view))
                case "push":
                    views.push(view.user, modals.checked(self.slack, answer, "modal"))
                case action:
                    return replace(outcome, errors=_field_errors(view, action, answer.get("errors")))
        except Refusal as refusal:
            return replace(outcome, error=refusal.error)
        return outcome

    def _action(self, user: str, body: Any, action_id: str, chosen: Any) -> Json:
        for block, element in blocks.elements(body):
            if element["action_id"] == action_id:
                action = blocks.action(block, element, chosen, action_ts=self.slack.space.next_ts())
                payload = envelopes.block_actions(self._user(user), action)
                return payload | {"trigger_id": self.slack.views.new_trigger(user)}
        raise Refusal("action_not_found")

    def _invite(self, user: str, where: Channel, text: str) -> Outcome:
        invited = self.slack.space.ids_by_name().get(text.strip().removeprefix("@").lower())
        if invited is None or where.is_im:
            self._whisper(user, where, "Nobody of that name can be invited here.")
            return Outcome(error="user_not_found")
        self.slack.space.join(where.id, invited)
        self._whisper(user, where, f"{self.slack.space.users[invited].name} is in #{where.name} now.")
        return Outcome()

    def _whisper(self, user: str, where: Channel, text: str) -> None:
        """Slackbot says something that only one person sees."""
        ts = self.slack.space.next_ts()
        self.slack.space.post(Message(where.id, ts, workspace.SLACKBOT, mrkdwn.escape(text), ephemeral_to=user))

    def _user(self, user: str) -> User:
        if user not in self.slack.space.users:
            raise Refusal("user_not_found")
        return self.slack.space.users[user]

    def _channel(self, channel: str, user: str) -> Channel:
        found = self.slack.space.channels.get(channel)
        if found is None or user not in found.members:
            raise Refusal("channel_not_found")
        return found

    def _message(self, channel: str, ts: str, user: str) -> Message:
        message = self.slack.space.find(channel, ts)
        if message is None or message.ephemeral_to not in (None, user):
            raise Refusal("message_not_found")
        return message

    def _own(self, user: str, channel: str, ts: str) -> Message:
        message = self._message(channel, ts, user)
        if message.user != user:
            raise Refusal("cant_update_message")
        return message

    def _view(self, user: str, view_id: str) -> View:
        view = self.slack.views.find(view_id)
        if view is None or view.user != user:
            raise Refusal("view_not_found")
        return view


def _field_errors(view: View, action: Any, errors: Any) -> Mapping[str, str]:
    """By block_id, what is wrong; Slack takes errors of input blocks alone."""
    inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
    known = action == "errors" and isinstance(errors, dict) and errors and set(errors) <= inputs
    if not known or not all(isinstance(one, str) for one in errors.values()):
        raise Refusal("unexpected_response")
    return dict(errors)

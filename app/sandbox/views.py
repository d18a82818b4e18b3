"""Modals and Home tabs: who has which open, and the trigger ids that let the app open one."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.sandbox import blocks, workspace
from app.sandbox.refusals import Refusal
from app.sandbox.workspace import Workspace

Json = dict[str, Any]

TRIGGER_S = 3.0
REMEMBERED_S = 600.0
MOST_STACKED = 3


@dataclass(frozen=True)
class View:
    """A modal or a Home tab as somebody sees it; `body` is what the app sent, block ids filled in."""

    id: str
    user: str
    body: Json
    hash: str
    root_id: str
    previous_id: str | None = None

    def as_json(self, state: Json | None = None) -> Json:
        """The view in the words of Slack's answers and payloads."""
        defaults = {"private_metadata": "", "callback_id": "", "external_id": "", "close": None, "submit": None}
        flags = {"clear_on_close": False, "notify_on_close": False}
        return {
            **(defaults | flags | self.body),
            "id": self.id,
            "team_id": workspace.TEAM,
            "state": state or {"values": {}},
            "hash": self.hash,
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
            "app_id": workspace.APP,
            "app_installed_team_id": workspace.TEAM,
            "bot_id": workspace.BOT_ID,
        }


@dataclass
class Views:
    """Every open view. A modal opens over the one before it, at most three deep."""

    workspace: Workspace
    _triggers: dict[str, tuple[str, float]] = field(default_factory=dict)
    _spent: set[str] = field(default_factory=set)
    _stacks: dict[str, list[View]] = field(default_factory=dict)
    _homes: dict[str, View] = field(default_factory=dict)

    def new_trigger(self, user: str) -> str:
        """A trigger id, good once and for three seconds."""
        now = self.workspace.clock()
        self._forget_old_triggers(now)
        trigger = f"{int(now * 1000)}.{self.workspace.next_id('')}.{secrets.token_hex(16)}"
        self._triggers[trigger] = (user, now + TRIGGER_S)
        return trigger

    def exchange(self, trigger: str) -> str:
        """Spend a trigger id: the id of the person who caused it. Raises Refusal."""
        if trigger not in self._triggers:
            raise Refusal("invalid_trigger_id")
        if trigger in self._spent:
            raise Refusal("exchanged_trigger_id")
        user, until = self._triggers[trigger]
        if self.workspace.clock() > until:
            raise Refusal("expired_trigger_id")
        self._spent.add(trigger)
        return user

    def stack(self, user: str) -> Sequence[View]:
        """The modals that somebody has open, the topmost last."""
        return tuple(self._stacks.get(user, ()))

    def home(self, user: str) -> View | None:
        """What was published to somebody's Home tab."""
        return self._homes.get(user)

    def find(self, view_id: str = "", external_id: str = "") -> View | None:
        """An open view by one of its ids."""
        opened = [*self._homes.values(), *(view for stack in self._stacks.values() for view in stack)]
        return next(
            (
                one
                for one in opened
                if (view_id and one.id == view_id) or (external_id and one.body.get("external_id") == external_id)
            ),
            None,
        )

    def push(self, user: str, body: Json) -> View:
        """Open a modal over those that are open."""
        stack = self._stacks.setdefault(user, [])
        view_id = self.workspace.next_id("V")
        root, previous = (stack[0].root_id, stack[-1].id) if stack else (view_id, None)
        view = View(view_id, user, self._completed(body), self._hash(), root, previous)
        stack.append(view)
        self.workspace.tell("modals", user)
        return view

    def update(self, view: View, body: Json) -> View:
        """Put new content in an open view. Raises Refusal where it is not open any more."""
        changed = replace(view, body=self._completed(body), hash=self._hash())
        home, stack = self._homes.get(view.user), self._stacks.get(view.user, [])
        if home and home.id == view.id:
            self._homes[view.user] = changed
            self.workspace.tell("home", view.user)
        elif view.id in (one.id for one in stack):
            self._stacks[view.user] = [changed if one.id == view.id else one for one in stack]
            self.workspace.tell("modals", view.user)
        else:
            raise Refusal("not_found")
        return changed

    def close(self, view: View, *, whole_stack: bool = False) -> None:
        """Take a modal away, or all of them; one that is gone already may be closed again."""
        stack = self._stacks.get(view.user, [])
        self._stacks[view.user] = [] if whole_stack else [one for one in stack if one.id != view.id]
        self.workspace.tell("modals", view.user)

    def publish(self, user: str, body: Json) -> View:
        """Set somebody's Home tab."""
        old = self._homes.get(user)
        view_id = old.id if old else self.workspace.next_id("V")
        self._homes[user] = View(view_id, user, self._completed(body), self._hash(), view_id)
        self.workspace.tell("home", user)
        return self._homes[user]

    def _forget_old_triggers(self, now: float) -> None:
        while self._triggers:
            oldest, (_, until) = next(iter(self._triggers.items()))
            if until > now - REMEMBERED_S:
                break
            del self._triggers[oldest]
            self._spent.discard(oldest)

    def _completed(self, body: Json) -> Json:
        return {**body, "blocks": list(blocks.completed(body["blocks"], self.workspace.next_id))}

    def _hash(self) -> str:
        return f"{self.workspace.next_ts()}.{secrets.token_hex(4)}"

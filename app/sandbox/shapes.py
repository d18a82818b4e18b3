"""Block Kit's rules: what Slack refuses in blocks and views, and the words in which it says so."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Rule = Callable[[Any, str], Iterator[str]]
"""Takes a value and its JSON pointer, gives Slack's complaints about it."""

PLAIN = ("plain_text",)
ANY_TEXT = ("plain_text", "mrkdwn")
MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100


@dataclass(frozen=True)
class Shape:
    """An object of Block Kit: rules by field, and which fields must be there."""

    fields: Mapping[str, Rule] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def __call__(self, value: Any, at: str) -> Iterator[str]:
        """Complain about an object."""
        if not isinstance(value, dict):
            yield _error("must be an object", at)
            return
        for name in self.required:
            if value.get(name) in (None, ""):
                yield _error(f"missing required field: {name}", at)
        for name, rule in self.fields.items():
            if value.get(name) is not None:
                yield from rule(value[name], f"{at}/{name}")


def of_message(blocks: Any) -> list[str]:
    """Slack's complaints about the blocks of a message."""
    return [*_blocks_of(blocks, MESSAGE_BLOCKS)]


def of_view(view: Any) -> list[str]:
    """Slack's complaints about a modal or a Home tab."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        return [_error("unsupported type: must be modal or home", "/view/type")]
    complaints = [*(MODAL if view["type"] == "modal" else HOME)(view, "/view")]
    complaints += _blocks_of(view.get("blocks"), VIEW_BLOCKS, at="/view/blocks")
    if _asks(view) and view["type"] == "modal" and not view.get("submit"):
        complaints.append(_error("missing required field: submit", "/view"))
    return complaints


def _asks(view: Any) -> bool:
    blocks = view.get("blocks")
    return isinstance(blocks, list) and any(isinstance(one, dict) and one.get("type") == "input" for one in blocks)


def _blocks_of(blocks: Any, most: int, at: str = "/blocks") -> Iterator[str]:
    yield from _items(_typed(BLOCKS), 0, most)(blocks, at)
    if isinstance(blocks, list):
        yield from _twice([one.get("block_id") for one in blocks if isinstance(one, dict)], "block_id", at)


def _twice(ids: list[Any], name: str, at: str) -> Iterator[str]:
    known = [one for one in ids if isinstance(one, str)]
    if len(set(known)) < len(known):
        yield _error(f"{name} must be unique", at)


def _error(fault: str, at: str) -> str:
    return f"[ERROR] {fault} [json-pointer:{at}]"


def _string(most: int, least: int = 0) -> Rule:
    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield _error("must be a string", at)
        elif len(value) > most:
            yield _error(f"must be less than {most + 1} characters", at)
        elif len(value) < least:
            yield _error(f"must be more than {least - 1} characters", at)

    return rule


def _number(least: int, most: int) -> Rule:
    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield _error(f"must be a number from {least} to {most}", at)

    return rule


def _choice(*choices: str) -> Rule:
    def rule(value: Any, at: str) -> Iterator[str]:
        if value not in choices:
            yield _error(f"must be one of: {', '.join(choices)}", at)

    return rule


def _text(most: int, kinds: Collection[str] = ANY_TEXT) -> Rule:
    return Shape({"type": _choice(*kinds), "text": _string(most, 1)}, ("type", "text"))


def _items(rule: Rule, least: int, most: int) -> Rule:
    def each(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield _error("must be an array", at)
            return
        if len(value) > most:
            yield _error(f"no more than {most} items allowed", at)
        if len(value) < least:
            yield _error(f"no fewer than {least} items allowed", at)
        for index, one in enumerate(value):
            yield from rule(one, f"{at}/{index}")

    return each


def _typed(shapes: Mapping[str, Rule]) -> Rule:
    def rule(value: Any, at: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in shapes:
            yield _error(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from shapes[kind](value, at)
            yield from Shape({"block_id": _string(255), "action_id": _string(255), "confirm": CONFIRM})(value, at)

    return rule


def _has_text_or_fields(value: Any, at: str) -> Iterator[str]:
    if not value.get("text") and not value.get("fields"):
        yield _error("missing required field: text", at)
    yield from SECTION(value, at)


def _unique_actions(value: Any, at: str) -> Iterator[str]:
    yield from ACTIONS(value, at)
    if isinstance(value.get("elements"), list):
        elements = [one for one in value["elements"] if isinstance(one, dict)]
        yield from _twice([one.get("action_id") for one in elements], "action_id", f"{at}/elements")


CONFIRM = Shape(
    {
        "title": _text(100, PLAIN),
        "text": _text(300),
        "confirm": _text(30, PLAIN),
        "deny": _text(30, PLAIN),
        "style": _choice("primary", "danger"),
    },
    ("title", "text", "confirm", "deny"),
)
OPTION = Shape({"text": _text(75), "value": _string(150), "description": _text(75)}, ("text", "value"))
PICKER: dict[str, Rule] = {"placeholder": _text(150, PLAIN)}
OPTION_GROUP = Shape({"label": _text(75, PLAIN), "options": _items(OPTION, 1, 100)}, ("label", "options"))
SELECT: dict[str, Rule] = {
    **PICKER,
    "options": _items(OPTION, 1, 100),
    "option_groups": _items(OPTION_GROUP, 1, 100),
    "initial_option": OPTION,
}
GROUP: dict[str, Rule] = {
    "options": _items(OPTION, 1, 10),
    "initial_option": OPTION,
    "initial_options": _items(OPTION, 1, 10),
}
TIME: dict[str, Rule] = {**PICKER, "initial_date_time": _number(1_000_000_000, 9_999_999_999)}
BUTTON = Shape(
    {
        "text": _text(75, PLAIN),
        "value": _string(2000),
        "url": _string(3000),
        "style": _choice("primary", "danger"),
        "accessibility_label": _string(75),
        "visible_to_user_ids": _items(_string(20, 1), 1, 10),
    },
    ("text",),
)
TEXT_INPUT = Shape(
    {
        **PICKER,
        "initial_value": _string(3000),
        "min_length": _number(0, 3000),
        "max_length": _number(1, 3000),
    }
)
DRAWN_ELEMENTS: dict[str, Rule] = {
    "button": BUTTON,
    "overflow": Shape({"options": _items(OPTION, 1, 5)}, ("options",)),
    "static_select": Shape(SELECT),
    "radio_buttons": Shape(GROUP, ("options",)),
    "checkboxes": Shape(GROUP, ("options",)),
    "datetimepicker": Shape(TIME),
    "plain_text_input": TEXT_INPUT,
}
OTHER_ELEMENTS = (
    *("multi_static_select", "datepicker", "timepicker", "number_input", "email_text_input", "url_text_input"),
    *("users_select", "multi_users_select", "conversations_select", "channels_select", "external_select"),
    *("rich_text_input", "file_input", "feedback_buttons", "icon_button", "workflow_button", "image"),
)
ELEMENTS: dict[str, Rule] = {**DRAWN_ELEMENTS, **dict.fromkeys(OTHER_ELEMENTS, Shape())}
NOT_ACTIONS = ("plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input", "image")
ACTION = _typed({kind: rule for kind, rule in ELEMENTS.items() if kind not in NOT_ACTIONS})
INPUT = _typed({kind: rule for kind, rule in ELEMENTS.items() if kind not in ("button", "overflow", "image")})
SECTION = Shape({"text": _text(3000), "fields": _items(_text(2000), 1, 10), "accessory": _typed(ELEMENTS)})
ACTIONS = Shape({"elements": _items(ACTION, 1, 25)}, ("elements",))
CONTEXT = _typed({"plain_text": _text(3000), "mrkdwn": _text(3000), "image": Shape(required=("alt_text",))})
DRAWN_BLOCKS: dict[str, Rule] = {
    "section": _has_text_or_fields,
    "header": Shape({"text": _text(150, PLAIN)}, ("text",)),
    "divider": Shape(),
    "context": Shape({"elements": _items(CONTEXT, 1, 10)}, ("elements",)),
    "actions": _unique_actions,
    "input": Shape({"label": _text(2000, PLAIN), "element": INPUT, "hint": _text(2000, PLAIN)}, ("label", "element")),
    "rich_text": Shape({"elements": _items(Shape(required=("type", "elements")), 1, 1000)}, ("elements",)),
    "markdown": Shape({"text": _string(12_000, 1)}, ("text",)),
    "image": Shape({"alt_text": _string(2000, 1)}, ("alt_text",)),
}
OTHER_BLOCKS = (
    *("context_actions", "video", "file", "table", "alert", "card", "carousel", "container", "task_card", "plan"),
    "call",
)
BLOCKS: dict[str, Rule] = {**DRAWN_BLOCKS, **dict.fromkeys(OTHER_BLOCKS, Shape())}
HOME = Shape({"private_metadata": _string(3000), "callback_id": _string(255)}, ("blocks",))
MODAL = Shape(
    {
        **HOME.fields,
        "title": _text(24, PLAIN),
        "submit": _text(24, PLAIN),
        "close": _text(24, PLAIN),
        "external_id": _string(255),
    },
    ("title", "blocks"),
)

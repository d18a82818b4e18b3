"""What becomes of blocks once Slack has them: ids filled in, elements found, values gathered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

VALUES = {
    "plain_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "overflow": ("selected_option", ""),
    "checkboxes": ("selected_options", "initial_options"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
"""By type of element: the field in which Slack reports its value, and the one that has its first value."""

PLACES = {"actions": "elements", "section": "accessory", "input": "element"}
"""By type of block: the field with its interactive elements."""

STATELESS = ("button", "overflow", "image", "workflow_button")


def completed(blocks: Sequence[Json], next_id: Callable[[str], str]) -> tuple[Json, ...]:
    """The blocks with a block_id and action_ids where the app left them out, as Slack fills them in."""
    return tuple(_with_ids(block, next_id) for block in blocks)


def _with_ids(block: Json, next_id: Callable[[str], str]) -> Json:
    filled = {**block, "block_id": block.get("block_id") or next_id("b")}
    place = PLACES.get(block["type"], "")
    if place == "elements":
        filled[place] = [_with_action_id(one, next_id) for one in block[place]]
    elif block.get(place):
        filled[place] = _with_action_id(block[place], next_id)
    return filled


def _with_action_id(element: Json, next_id: Callable[[str], str]) -> Json:
    if element["type"] == "image":
        return element
    return {**element, "action_id": element.get("action_id") or next_id("a")}


def elements(blocks: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """Every block with every interactive element of it."""
    for block in blocks:
        inside = block.get(PLACES.get(block["type"], "")) or []
        for element in inside if isinstance(inside, list) else [inside]:
            if element["type"] != "image":
                yield block, element


def action(block: Json, element: Json, chosen: Any, *, action_ts: str) -> Json:
    """The entry of `actions` that says what a person did with an element."""
    done = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    if element["type"] == "button":
        done["text"] = element["text"]
        done |= {name: element[name] for name in ("value", "style", "url") if name in element}
    else:
        done |= _value(element, chosen)
    return {**done, "action_ts": action_ts}


def state(blocks: Sequence[Json], chosen: Mapping[str, Mapping[str, Any]]) -> Json:
    """`view.state` with what stands in every input; `chosen` by block_id and action_id.

    A chosen value is a text, an option's value, a list of them, or a time in seconds since 1970.
    """
    values: dict[str, Json] = {}
    for block, element in elements(blocks):
        if element["type"] not in STATELESS:
            block_id, action_id = block["block_id"], element["action_id"]
            picked = chosen.get(block_id, {}).get(action_id)
            values.setdefault(block_id, {})[action_id] = {"type": element["type"], **_value(element, picked)}
    return {"values": values}


def missing(blocks: Sequence[Json], values: Mapping[str, Json]) -> dict[str, str]:
    """By block_id: what Slack's client says of an input before it sends anything."""
    complaints: dict[str, str] = {}
    for block, element in elements(blocks):
        if block["type"] == "input":
            value = _reported(element, values[block["block_id"]][element["action_id"]])
            complaint = _complaint(element, value, optional=block.get("optional", False))
            if complaint:
                complaints[block["block_id"]] = complaint
    return complaints


def _complaint(element: Json, value: Any, *, optional: bool) -> str:
    if value in (None, "", []):
        return "" if optional else "Please complete this required field."
    if element["type"] != "plain_text_input":
        return ""
    if len(value) > element.get("max_length", 3000):
        return f"Please use at most {element.get('max_length', 3000)} characters."
    if len(value) < element.get("min_length", 0):
        return f"Please use at least {element['min_length']} characters."
    return ""


def _reported(element: Json, entry: Json) -> Any:
    return entry.get(VALUES.get(element["type"], ("value", ""))[0])


def _value(element: Json, picked: Any) -> Json:
    """The field that reports an element's value: what was picked, else what it began with."""
    reported, first = VALUES.get(element["type"], ("value", ""))
    if picked is None:
        return {reported: element.get(first)}
    if reported == "selected_option":
        return {reported: _option(element, picked)}
    if reported == "selected_options":
        chosen = [_option(element, one) for one in picked] if isinstance(picked, list) else []
        return {reported: [one for one in chosen if one]}
    if reported == "value":
        return {reported: str(picked) or None}
    return {reported: picked}


def _option(element: Json, value: Any) -> Json | None:
    """The option as the app sent it, by its value."""
    groups = element.get("option_groups", [])
    options = [*element.get("options", []), *(one for group in groups for one in group["options"])]
    return next((one for one in options if one["value"] == value), None)

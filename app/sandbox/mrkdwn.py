"""Slack's text: what a person's typing becomes, whom a text notifies, and whether it has a link."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

MENTION = re.compile(r"<(@[A-Z0-9]+|!(?:channel|here|everyone)|!subteam\^[A-Z0-9]+)(?:\|[^<>]*)?>")
LINK = re.compile(r"https?://[^\s<>|]+|<(?:https?|mailto):[^<>]+>")
NAMED = re.compile(r"(?<![\w&<])@([\w.-]*\w)")


def escape(text: str) -> str:
    """The three characters that mean something in mrkdwn, made plain."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typed(text: str, ids_by_name: Mapping[str, str], *, with_names: bool = False) -> str:
    """What Slack's client sends when a person types `text`: escaped, `@name` of somebody known as `<@ID>`.

    With names, `<@ID|name>`, which is what a slash command with should_escape gets.
    """

    def mention(match: re.Match[str]) -> str:
        user = ids_by_name.get(match[1].lower())
        name = f"|{match[1]}" if with_names else ""
        return f"<@{user}{name}>" if user else match[0]

    return NAMED.sub(mention, escape(text))


def linked(text: str, ids_by_name: Mapping[str, str]) -> str:
    """What link_names and parse=full make of a text: every `@name` and `@channel` pings."""
    broadcasts = {name: f"<!{name}>" for name in ("channel", "here", "everyone")}
    mentions = broadcasts | {name: f"<@{user}>" for name, user in ids_by_name.items()}
    return NAMED.sub(lambda match: mentions.get(match[1].lower(), match[0]), text)


def rich_text(text: str) -> Json:
    """The rich_text block that Slack adds to a person's message; `text` as typed() gave it."""
    elements: list[Json] = []
    end = 0
    for match in re.finditer(r"<@([A-Z0-9]+)>", text):
        elements += [_plain(text[end : match.start()]), {"type": "user", "user_id": match[1]}]
        end = match.end()
    elements.append(_plain(text[end:]))
    section = {"type": "rich_text_section", "elements": [one for one in elements if one.get("text") != ""]}
    return {"type": "rich_text", "elements": [section]}


def pings(text: str, blocks: Sequence[Json]) -> tuple[str, ...]:
    """Everyone whom a message notifies: user ids, `!channel`, `!here`, `!everyone`, `!subteam^ID`; none twice."""
    found = [match.removeprefix("@") for one in _texts(text, blocks) for match in MENTION.findall(one)]
    for element in _walk(blocks):
        found += _pings_of_rich_text(element)
    return tuple(dict.fromkeys(found))


def has_link(text: str, blocks: Sequence[Json]) -> bool:
    """Whether Slack would see a link to fetch a preview of."""
    links = (element for element in _walk(blocks) if element.get("type") == "link")
    return any(LINK.search(one) for one in _texts(text, blocks)) or any(links)


def _plain(text: str) -> Json:
    return {"type": "text", "text": text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")}


def _texts(text: str, blocks: Sequence[Json]) -> Iterator[str]:
    yield text
    for element in _walk(blocks):
        if element.get("type") in ("mrkdwn", "markdown") and isinstance(element.get("text"), str):
            yield element["text"]


def _pings_of_rich_text(element: Json) -> list[str]:
    match element:
        case {"type": "user", "user_id": str(user)}:
            return [user]
        case {"type": "broadcast", "range": str(who)}:
            return [f"!{who}"]
        case {"type": "usergroup", "usergroup_id": str(group)}:
            return [f"!subteam^{group}"]
        case _:
            return []


def _walk(value: Any) -> Iterator[Json]:
    """Every object in nested blocks; iterative, since nesting is the sender's choice."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list | tuple):
            waiting.extend(reversed(one))

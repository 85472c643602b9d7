"""Where values stand in the text of a JSON document that is known to be valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()


def elements(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """Yield the elements of the list at `start`, each with its position."""
    position = skip_space(text, start + 1)
    while text[position] != "]":
        value, end = _DECODER.raw_decode(text, position)
        yield position, value
        position = skip_space(text, end)
        if text[position] == ",":
            position = skip_space(text, position + 1)


def members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the names of the object at `start`, each with the position of its value."""
    position = skip_space(text, start + 1)
    while text[position] != "}":
        name, end = _DECODER.raw_decode(text, position)
        position = skip_space(text, skip_space(text, end) + 1)
        yield name, position
        _, end = _DECODER.raw_decode(text, position)
        position = skip_space(text, end)
        if text[position] == ",":
            position = skip_space(text, position + 1)


def member(text: str, name: str, start: int) -> int:
    """Return where the value of the last member `name` of the object at `start` begins."""
    return next((at for found, at in reversed(list(members(text, start))) if found == name), start)


def value_span(text: str, start: int, source: str) -> tuple[int, int] | None:
    """Return where the value at a path such as `outputs.label` begins and ends, from the value at `start`."""
    if not source:
        return start, _DECODER.raw_decode(text, start)[1]
    if text[start] == "{":
        places = dict(members(text, start))
        if source in places:
            return value_span(text, places[source], "")
        head, _, rest = source.partition(".")
        return value_span(text, places[head], rest) if head in places else None
    head, _, rest = source.partition(".")
    if text[start] == "[" and head.isdecimal():
        places_in_list = [at for at, _ in elements(text, start)]
        return value_span(text, places_in_list[int(head)], rest) if int(head) < len(places_in_list) else None
    return None


def skip_space(text: str, position: int) -> int:
    """Return the position of the next character that isn't white space."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position

"""JSON values, read off an answer and compared as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.formatting import as_text

_MOST_DIGITS = 4000
_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_MOST_STARTS = 200
_NOTHING = object()


def json_fields_score(expected: Any, got: Any, threshold: float) -> Score:
    """Return the share of an expected object's fields that the answer's object has.

    Raises:
        MetricError: the expected value isn't an object.
    """
    wanted, found = as_object(expected), as_object(got)
    if wanted is None:
        raise MetricError(
            f"{as_text(expected)!r} isn't a JSON object.",
            hint="json_fields compares objects; correct the example.",
        )
    if found is None:
        return Score(0.0, False, f'Expected a JSON object but got "{as_text(got)}".', "no object")
    if not wanted:
        return Score(1.0, True)
    wrong = [key for key, value in wanted.items() if not same_json(value, found.get(key))]
    if not wrong:
        return Score(1.0, True)
    value = 1.0 - len(wrong) / len(wanted)
    details = "; ".join(
        f"{key}: expected {shown_json(wanted[key])} but got {shown_json(found.get(key))}" for key in wrong
    )
    return Score(value, value >= threshold, f"{details}.", f"wrong {wrong[0]}")


def json_equal_score(expected: Any, got: Any) -> Score:
    """Return whether two JSON values are the same; the order of an object's keys doesn't count.

    Raises:
        MetricError: the expected value is a text that is no JSON.
    """
    wanted = read_json(expected)
    if wanted is _NOTHING:
        raise MetricError(f"{as_text(expected)!r} isn't JSON.", hint="Correct the example's expected value.")
    found = read_json(got)
    if found is _NOTHING:
        return Score(0.0, False, f'Expected JSON but got "{as_text(got)}".', "no JSON")
    difference = _difference(wanted, found, "")
    if difference is None:
        return Score(1.0, True)
    place, what = difference
    return Score(0.0, False, f"{place or 'the value'}: {what}.", f"wrong {place}" if place else "wrong value")


def as_object(value: Any) -> dict[str, Any] | None:
    """Return a JSON object: a mapping, a pydantic model, or one in a text, fenced or with words around it."""
    found = read_json(value, needs_object=True)
    return dict(found) if isinstance(found, Mapping) else None


def read_json(value: Any, *, needs_object: bool = False) -> Any:
    """Return the JSON value in a text, or what stands for no value; anything that isn't text is data."""
    if hasattr(type(value), "model_dump"):
        return value.model_dump(mode="json")
    if not isinstance(value, str):
        return value
    fenced = _FENCED.search(value)
    for text in (value, fenced.group(1) if fenced else ""):
        found = _parsed(text)
        if found is not _NOTHING:
            return found
    return _first_within(value, "{" if needs_object else "{[")


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same: true is not 1, and 1 is 1.0."""
    return _difference(_plain(one), _plain(other), "") is None


def shown_json(value: Any) -> str:
    """Return a value so that the text "3" and the number 3 look different."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return _NOTHING


def _first_within(text: str, openings: str) -> Any:
    """Return the first object (or list) that stands whole in a text."""
    decoder = json.JSONDecoder(parse_int=_whole_number)
    starts = [place for place, char in enumerate(text) if char in openings][:_MOST_STARTS]
    end = 0
    for start in starts:
        if start < end:
            continue
        try:
            found, end = decoder.raw_decode(text, start)
        except RecursionError:
            return _NOTHING
        except ValueError:
            continue
        return found
    return _NOTHING


def _whole_number(digits: str) -> int | Decimal:
    """Return an integer; one with more digits than Python reads as int is a Decimal."""
    return int(digits) if len(digits) < _MOST_DIGITS else Decimal(digits)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(type(value), "model_dump") else value


def _difference(wanted: Any, found: Any, place: str) -> tuple[str, str] | None:
    """Return where two values differ first, and how; None if they don't."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            path = f"{place}.{key}" if place else str(key)
            if key not in found:
                return path, f"expected {shown_json(wanted[key])}, and it is missing"
            if key not in wanted:
                return path, "it was not expected"
            if deeper := _difference(wanted[key], found[key], path):
                return deeper
        return None
    if _is_list(wanted) and _is_list(found):
        if len(wanted) != len(found):
            return place, f"expected {len(wanted)} items but got {len(found)}"
        pairs = enumerate(zip(wanted, found, strict=True))
        differences = (_difference(ours, theirs, f"{place}[{index}]") for index, (ours, theirs) in pairs)
        return next((difference for difference in differences if difference), None)
    if isinstance(wanted, bool) == isinstance(found, bool) and wanted == found:
        return None
    return place, f"expected {shown_json(wanted)} but got {shown_json(found)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)

"""Numbers between two bounds as a grammar: what `minimum` and `maximum` of a JSON schema ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_MOST = 10**16 - 1
"""The largest number that an answer may have, as without bounds."""

_FRACTION = '("." [0-9]{1,16})?'


def bounded(schema: Mapping[str, Any], kind: str) -> str:
    """Return the expression of an integer or a number that keeps the schema's bounds.

    The bounds of a number that aren't integers are widened to the next ones.

    Raises:
        ValueError: no number keeps both.
    """
    low, high = _bounds(schema, kind == "integer")
    if low is None and high is None:
        return kind
    least, most = -_MOST if low is None else low, _MOST if high is None else high
    if least > most:
        raise ValueError(f"A JSON schema asks for a number from {least} to {most}: there is none.")
    parts = _integers(least, most) if kind == "integer" else _numbers(least, most)
    return f"({' | '.join(parts)})"


def _bounds(schema: Mapping[str, Any], is_integer: bool) -> tuple[int | None, int | None]:
    low, high = schema.get("minimum"), schema.get("maximum")
    least, most = None if low is None else math.floor(low), None if high is None else math.ceil(high)
    if is_integer:
        least, most = None if low is None else math.ceil(low), None if high is None else math.floor(high)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if isinstance(above, int | float) and not isinstance(above, bool):
        from_above = math.floor(above) + 1 if is_integer else math.floor(above)
        least = from_above if least is None else max(least, from_above)
    if isinstance(below, int | float) and not isinstance(below, bool):
        to_below = math.ceil(below) - 1 if is_integer else math.ceil(below)
        most = to_below if most is None else min(most, to_below)
    return least, most


def _integers(low: int, high: int) -> Iterator[str]:
    if low < 0:
        yield f'"-" ({" | ".join(_digits(max(1, -high), -low))})'
    if high >= 0:
        yield from _digits(max(0, low), high)


def _numbers(low: int, high: int) -> Iterator[str]:
    if low < 0:
        yield f'"-" ({" | ".join(_decimals(max(0, -high), -low))})'
    if high >= 0:
        yield from _decimals(max(0, low), high)


def _decimals(low: int, high: int) -> Iterator[str]:
    """Yield decimals without a sign: below the upper bound with any fraction, at the bound without."""
    if high > low:
        yield f"({' | '.join(_digits(low, high - 1))}) {_FRACTION}"
    yield f'"{high}" ("." "0"{{1,16}})?'


def _digits(low: int, high: int) -> Iterator[str]:
    """Yield patterns of digits that are the numbers from `low` to `high`, 0 or more, and no others."""
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        yield _same_length(str(first), str(min(high, 10**length - 1)))


def _same_length(low: str, high: str) -> str:
    if low == high:
        return f'"{low}"'
    if len(low) == 1:
        return f"[{low}-{high}]"
    head, tail, rest = low[0], high[0], len(low) - 1
    if head == tail:
        return f'"{head}" ({_same_length(low[1:], high[1:])})'
    parts = []
    first, last = int(head), int(tail)
    if low[1:].strip("0"):
        parts.append(f'"{head}" ({_same_length(low[1:], "9" * rest)})')
        first += 1
    if high[1:].strip("9"):
        parts.append(f'"{tail}" ({_same_length("0" * rest, high[1:])})')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return " | ".join(parts)

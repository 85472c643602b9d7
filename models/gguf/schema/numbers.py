"""Numbers between two bounds as a grammar: what `minimum` and `maximum` of a JSON schema ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

_LIMIT = 10**16
"""Numbers of an answer stay below it, and above its negative, as without bounds."""
_DECIMALS = 16
_EXACT = 4
"""Bounds are kept exactly up to so many decimals; those with more are widened to the next such number."""


class _End(NamedTuple):
    value: Decimal
    is_excluded: bool


def bounded(schema: Mapping[str, Any], kind: str) -> str:
    """Return the expression of an integer or a number that keeps the schema's bounds.

    Raises:
        ValueError: no number keeps both.
    """
    lows = _ends(schema, "minimum", "exclusiveMinimum")
    highs = _ends(schema, "maximum", "exclusiveMaximum")
    if not lows and not highs:
        return kind
    low = max(lows, default=_End(Decimal(-_LIMIT), True))
    high = min(highs, key=lambda end: (end.value, not end.is_excluded), default=_End(Decimal(_LIMIT), True))
    parts = list(_integers(low, high) if kind == "integer" else _numbers(low, high))
    if not parts:
        raise ValueError(f"A JSON schema asks for a number from {low.value} to {high.value}: there is none.")
    return f"({' | '.join(parts)})"


def _ends(schema: Mapping[str, Any], included: str, excluded: str) -> list[_End]:
    found = ((schema.get(included), False), (schema.get(excluded), True))
    return [
        _End(Decimal(str(value)), is_excluded)
        for value, is_excluded in found
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]


def _integers(low: _End, high: _End) -> Iterator[str]:
    least = math.floor(low.value) + 1 if low.is_excluded else math.ceil(low.value)
    most = math.ceil(high.value) - 1 if high.is_excluded else math.floor(high.value)
    if least < 0 and least <= most:
        yield f'"-" ({" | ".join(_digits(max(1, -most), -least))})'
    if most >= 0:
        yield from _digits(max(0, least), most)


def _numbers(low: _End, high: _End) -> Iterator[str]:
    places = max(1, min(_EXACT, max(_decimals_of(low.value), _decimals_of(high.value))))
    exact_low, exact_high = low.value.scaleb(places), high.value.scaleb(places)
    least, most = math.floor(exact_low), math.ceil(exact_high)
    is_above, is_below = low.is_excluded and least == exact_low, high.is_excluded and most == exact_high
    if least < 0:
        ends = (max(0, -most), -least), (is_below and most <= 0, is_above)
        if negative := list(_decimals(*ends, places)):
            yield f'"-" ({" | ".join(negative)})'
    if most >= 0:
        yield from _decimals((max(0, least), most), (is_above and least >= 0, is_below), places)


def _decimals_of(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _decimals(ends: tuple[int, int], are_excluded: tuple[bool, bool], places: int) -> Iterator[str]:
    """Yield decimals without a sign between two ends, which are given in units of the last of the places."""
    (low, high), (is_above, is_below) = ends, are_excluded
    for fewer in range(1, places + 1):
        unit = 10**fewer
        first = -(-low // unit) + (is_above and low % unit == 0)
        last = high // unit - (is_below and high % unit == 0)
        yield from _digits(first, last, places - fewer)
    more = _DECIMALS - places
    within = list(_digits(low + is_above, high - 1, places))
    if within:
        yield f"({' | '.join(within)}) [0-9]{{0,{more}}}"
    if is_above and low < high:
        yield f'{_digits_of(low, places)} "0"{{0,{more - 1}}} [1-9] [0-9]{{0,{more - 1}}}'
    if not is_below and low + is_above <= high:
        yield f'{_digits_of(high, places)} "0"{{0,{more}}}'


def _digits(low: int, high: int, places: int = 0) -> Iterator[str]:
    """Yield patterns of digits that are the numbers from `low` to `high`, 0 or more, and no others.

    The point stands before the last `places` digits.
    """
    shortest = places + 1
    whole = []
    for length in range(max(shortest, len(str(low))), max(shortest, len(str(high))) + 1):
        least, most = 10 ** (length - 1) if length > shortest else 0, 10**length - 1
        if low <= least and most <= high and length > shortest:
            whole.append(length - shortest)
        elif max(low, least) <= min(high, most):
            ends = max(low, least), min(high, most)
            yield _same_length(*(_written(end, length, places) for end in ends))
    if whole:
        point = f' "." [0-9]{{{places}}}' if places else ""
        yield f"[1-9] [0-9]{{{whole[0]},{whole[-1]}}}{point}"


def _digits_of(number: int, places: int) -> str:
    return f'"{_written(number, places + 1, places)}"'


def _written(number: int, length: int, places: int) -> str:
    text = f"{number:0{length}}"
    return f"{text[:-places]}.{text[-places:]}" if places else text


def _same_length(low: str, high: str) -> str:
    if low == high:
        return f'"{low}"'
    if len(low) == 1:
        return f"[{low}-{high}]"
    head, tail = low[0], high[0]
    if head == tail:
        return f'"{head}" ({_same_length(low[1:], high[1:])})'
    parts = []
    first, last = int(head), int(tail)
    if low[1:].strip("0."):
        parts.append(f'"{head}" ({_same_length(low[1:], _filled(low[1:], "9"))})')
        first += 1
    if high[1:].strip("9."):
        parts.append(f'"{tail}" ({_same_length(_filled(high[1:], "0"), high[1:])})')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] {_any_digits(low[1:])}")
    return " | ".join(parts)


def _filled(text: str, digit: str) -> str:
    return "".join(letter if letter == "." else digit for letter in text)


def _any_digits(text: str) -> str:
    return ' "." '.join(f"[0-9]{{{len(digits)}}}" for digits in text.split(".")).replace("[0-9]{0} ", "")

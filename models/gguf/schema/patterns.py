"""Texts that fit a regular expression, or one of JSON schema's formats, as a grammar within JSON's quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_CHAR = r'[^"\\\x00-\x1F\x7F]'
_NEVER = r'"\\\x00-\x1F\x7F'
"""What no class may hold: JSON would have to escape it."""

_CLASSES = {"CATEGORY_DIGIT": "0-9", "CATEGORY_WORD": "a-zA-Z0-9_", "CATEGORY_SPACE": " "}
_MOST_REPEATS = 1000

_DATE = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
_TIME = (
    '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? '
    '("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
)
_HEX = "[0-9a-fA-F]"
_BYTE = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9]? [0-9])'
_ATOM = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[a-zA-Z0-9] ([a-zA-Z0-9-]{0,61} [a-zA-Z0-9])?"
FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f'{_DATE} "T" {_TIME}',
    "email": f'{_ATOM} ("." {_ATOM})* "@" ({_LABEL} ".")+ [a-zA-Z]{{2,24}}',
    "ipv4": f'{_BYTE} ("." {_BYTE}){{3}}',
    "uri": r'[a-zA-Z] [a-zA-Z0-9+.-]* ":" [^"\\\x00-\x20\x7F<>]+',
    "uuid": f'{_HEX}{{8}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{12}}',
}


class _BeyondGrammarError(Exception):
    """Something in a pattern that a grammar can't say, such as a lookahead."""


def pattern_text(pattern: str, longest: int | None = None) -> str | None:
    """Return the expression of the texts in which a pattern is found; None where a grammar can't say it.

    Each part is kept so short that it leaves the others the characters that they need at least. A text isn't
    longer than `longest`, then, if only one part of the pattern varies in length.

    Raises:
        ValueError: every text in which the pattern is found is longer.
    """
    parser: Any = re._parser  # type: ignore[attr-defined]
    try:
        tree = parser.parse(pattern)
        parsed, shortest = list(tree), tree.getwidth()[0]
        if longest is not None and shortest > longest:
            raise ValueError(
                f"A JSON schema has maxLength {longest} and the pattern {pattern}: nothing fits both."
            )
        spare = None if longest is None else longest - shortest
        starts = bool(parsed) and _is_anchor(parsed[0], "AT_BEGINNING", "AT_BEGINNING_STRING")
        ends = bool(parsed) and _is_anchor(parsed[-1], "AT_END", "AT_END_STRING")
        middle = _sequence(parsed[int(starts) : len(parsed) - int(ends and len(parsed) > int(starts))], spare)
    except (_BeyondGrammarError, re.error, OverflowError):
        return None
    anything = f"{_CHAR}{_times(0, None, spare)}"
    around = ["" if starts else anything, middle, "" if ends else anything]
    return " ".join(filter(None, around)) or _empty()


def _is_anchor(item: tuple[Any, Any], *names: str) -> bool:
    return str(item[0]) == "AT" and str(item[1]) in names


def _sequence(items: Sequence[tuple[Any, Any]], spare: int | None) -> str:
    return " ".join(_item(str(kind), value, spare) for kind, value in items)


def _item(kind: str, value: Any, spare: int | None) -> str:
    if kind == "LITERAL":
        return f"[{_escaped(value)}]"
    if kind == "NOT_LITERAL":
        return f"[^{_NEVER}{_escaped(value)}]"
    if kind == "ANY":
        return _CHAR
    if kind == "IN":
        return _class(value)
    if kind == "BRANCH":
        return f"({' | '.join(_sequence(list(branch), spare) or _empty() for branch in value[1])})"
    if kind == "SUBPATTERN" and not value[1] and not value[2]:
        return f"({_sequence(list(value[3]), spare)})"
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeated(value, spare)
    raise _BeyondGrammarError


def _repeated(value: tuple[int, Any, Any], spare: int | None) -> str:
    least, most, items = value
    at_most = None if str(most) == "MAXREPEAT" else int(most)
    spare_times = None if spare is None else spare // max(1, items.getwidth()[0])
    return f"({_sequence(list(items), spare) or _empty()}){_times(least, at_most, spare_times)}"


def _times(least: int, most: int | None, spare: int | None) -> str:
    """Return how often something is repeated: at most `spare` times more often than it has to be."""
    if spare is not None and least + spare <= _MOST_REPEATS:
        most = least + spare if most is None else min(most, least + spare)
    if max(least, most or 0) > _MOST_REPEATS:
        raise _BeyondGrammarError
    return f"{{{least},{'' if most is None else most}}}"


def _class(members: Sequence[tuple[Any, Any]]) -> str:
    kinds = [str(kind) for kind, _ in members]
    is_negated = "NEGATE" in kinds
    inside = "".join(
        _member(kind, value) for kind, (_, value) in zip(kinds, members, strict=True) if kind != "NEGATE"
    )
    return f"[^{_NEVER}{inside}]" if is_negated else f"[{inside}]"


def _member(kind: str, value: Any) -> str:
    if kind == "LITERAL":
        return _escaped(value)
    if kind == "RANGE":
        low, high = value
        if any(low <= ord(one) <= high for one in '"\\'):
            raise _BeyondGrammarError
        return f"{_escaped(low)}-{_escaped(high)}"
    if kind == "CATEGORY" and str(value) in _CLASSES:
        return _CLASSES[str(value)]
    raise _BeyondGrammarError


def _escaped(code: int) -> str:
    """Return a character as a grammar's class writes it; one that JSON escapes can't be written so."""
    if code < ord(" ") or code == 0x7F or chr(code) in '"\\':
        raise _BeyondGrammarError
    return f"\\x{code:02X}" if code < 0x80 else f"\\U{code:08X}"


def _empty() -> str:
    return '""'

"""Numbers as people write them, read off a text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.formatting import as_text

_SPACES = " \u00a0\u2009\u202f_'\u2019"
_PART = r"\d+(?:[.,]\d+)?"
_NUMBER_PATTERN = rf"""(?<![^\W_])(?:
        (?P<compound>{_PART}(?:[-/:]{_PART})+
          | (?!\d{{1,3}}(?:\.\d{{3}}){{2,}}(?![\d.]))\d+(?:\.\d+){{2,}})
      | (?P<sign>(?<![\w.)])[-+])?(?:
            (?P<spaced>\d{{1,3}}(?P<space>[{_SPACES}])\d{{3}}(?:(?P=space)\d{{3}})*(?!\d)(?:[.,]\d+)?)
          | (?P<english>(?!0,)\d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d+)?
              | \d{{1,2}}(?:,\d\d)+,\d{{3}}(?![\d,])(?:\.\d+)?)
          | (?P<german>\d{{1,3}}(?:\.\d{{3}})+,\d+ | \d{{1,3}}(?:\.\d{{3}}){{2,}}(?![\d.]))
          | (?P<plain>(?<!\d,)\d+,\d+(?!,?\d) | \d+(?:\.\d+)? | (?<![\d.])\.\d+)
        )(?P<exponent>[eE][-+]?\d+)?)"""
_NUMBER = re.compile(_NUMBER_PATTERN, re.VERBOSE)
_GLUED = re.compile(_NUMBER_PATTERN.replace(r"(?<![^\W_])", r"(?<!\d)", 1), re.VERBOSE)
_RANGE = re.compile(rf"({_PART})-({_PART})")
_EXACT = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_ROUNDING = Decimal("1e-12")


@dataclass(frozen=True)
class _Read:
    """A number, or numbers that are one thing: a date, a time, a range; `parts` has its digits and signs."""

    value: Decimal | None
    parts: str = ""


def number_score(expected: Any, got: Any, tolerance: float) -> Score:
    """Return whether the last number of an answer is the expected one, within an absolute tolerance.

    Raises:
        MetricError: the expected value holds no number.
    """
    golds = _numbers(expected)
    if not golds:
        raise MetricError(
            f"{as_text(expected)!r} holds no number.", hint="Correct the example's expected value."
        )
    gold, found = golds[-1], _numbers(got)
    if gold.value is None or _RANGE.fullmatch(gold.parts):
        return _same_parts(gold, found, expected, got)
    values = [read.value for read in found if read.value is not None]
    if not values:
        feedback = f'Expected the number {_shown(gold.value)} but got "{as_text(got)}".'
        return Score(0.0, False, feedback, "no number")
    return _near(gold.value, values[-1], tolerance)


def _near(wanted: Decimal, found: Decimal, tolerance: float) -> Score:
    room = _EXACT.add(Decimal(str(tolerance)), _EXACT.multiply(_ROUNDING, wanted.copy_abs()))
    if _EXACT.subtract(found, wanted).copy_abs() <= room:
        return Score(1.0, True)
    feedback = f"Expected {_shown(wanted)} (within {tolerance:g}) but got {_shown(found)}."
    return Score(0.0, False, feedback, "number too high" if found > wanted else "number too low")


def _same_parts(gold: _Read, found: list[_Read], expected: Any, got: Any) -> Score:
    if found and found[-1].parts == gold.parts:
        return Score(1.0, True)
    return Score(0.0, False, f'Expected "{as_text(expected)}" but got "{as_text(got)}".', "other numbers")


def _numbers(value: Any) -> list[_Read]:
    """Return a value's numbers in their order; digits within a word (CO2) count if nothing else does."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [_Read(_EXACT.create_decimal(value))]
    text = "".join(_plain_digit(char) for char in as_text(value))
    return [_read(found) for found in _NUMBER.finditer(text)] or [
        _read(found) for found in _GLUED.finditer(text)
    ]


def _read(found: re.Match[str]) -> _Read:
    if compound := found["compound"]:
        ends = _RANGE.fullmatch(compound)
        return _Read(_decimal(ends[2]) if ends else None, _without_zeros(compound))
    if spaced := found["spaced"]:
        digits = re.sub(rf"[{_SPACES}]", "", spaced).replace(",", ".")
    elif english := found["english"]:
        digits = english.replace(",", "")
    elif german := found["german"]:
        digits = german.replace(".", "").replace(",", ".")
    else:
        digits = found["plain"].replace(",", ".")
    return _Read(_decimal(f"{found['sign'] or ''}{digits}{found['exponent'] or ''}"))


def _without_zeros(compound: str) -> str:
    """Return a date, time or range whose parts have no zeros in front: 2024-05-01 is 2024-5-1."""
    after = r"(?<!\d)" if re.fullmatch(r"[\d.]+", compound) else r"(?<![\d.,])"
    return re.sub(rf"{after}0+(?=\d)", "", compound)


def _decimal(text: str) -> Decimal:
    return _EXACT.create_decimal(text.replace(",", "."))


def _plain_digit(char: str) -> str:
    """Return a digit of any script as 0-9, and signs and separators as ASCII has them."""
    if char.isascii():
        return char
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if char == "\N{MINUS SIGN}" or unicodedata.category(char) == "Pd":
        return "-"
    return {"\u066b": ".", "\u066c": ",", "\uff0e": ".", "\uff0c": ","}.get(char, char)


def _shown(value: Decimal) -> str:
    return f"{float(value):.15g}" if value.adjusted() < 300 else f"{value:.6e}"

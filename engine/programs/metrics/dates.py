"""Dates as people write them, read off a text."""

from __future__ import annotations

import datetime
import re
import unicodedata
from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.formatting import as_text

_MONTHS = """
january jan januar janvier janv enero ene gennaio gen januari janeiro
february feb februar fevrier fevr febrero febbraio februari fevereiro fev
march mar marz maerz mars marzo maart mrt marco
april apr avril avr abril abr aprile
may mai mayo maggio mag mei maio
june jun juni juin junio giugno giu junho
july jul juli juillet juil julio luglio lug julho
august aug aout agosto ago augustus
september sep sept septembre septiembre settembre set setembro
october oct oktober okt octobre octubre ottobre ott outubro out
november nov novembre noviembre novembro
december dec dezember dez decembre diciembre dic dicembre desember dezembro
"""
_MONTH = {name: number for number, line in enumerate(_MONTHS.split("\n")[1:-1], 1) for name in line.split()}
_NAME = r"(?P<name>[^\W\d_]{3,})\.?"
_DATES = re.compile(
    rf"""(?<!\d)(?:
        (?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?!\d)
      | (?P<ymd>(?:1[5-9]|2\d)\d{{6}})(?!\d)
      | (?P<a>\d{{1,2}})(?P<by>[-/.])\s?(?P<b>\d{{1,2}})(?P=by)\s?(?P<ab_y>\d{{4}})(?!\d)
      | (?P<d1>\d{{1,2}})(?:st|nd|rd|th|\.|\N{{MASCULINE ORDINAL INDICATOR}})?\s+(?:of\s+|de\s+)?
        {_NAME},?\s+(?:de\s+)?(?P<y1>\d{{4}})(?!\d)
    )
    | \b{_NAME.replace("name", "name2")}\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y2>\d{{4}})(?!\d)""",
    re.VERBOSE | re.IGNORECASE,
)


def date_score(expected: Any, got: Any, *, day_first: bool) -> Score:
    """Return whether the last date of an answer is the expected one, however both are written.

    `day_first` says what 03/04/2024 is where both readings are possible: 3 April, or March 4. With points
    (3.4.2024) the day is always first.

    Raises:
        MetricError: the expected value holds no date.
    """
    wanted, found = last_date(expected, day_first=day_first), last_date(got, day_first=day_first)
    if wanted is None:
        raise MetricError(
            f"{as_text(expected)!r} holds no date.", hint="Write the expected date as in 2024-05-31."
        )
    if found is None:
        return Score(0.0, False, f'Expected the date {wanted} but got "{as_text(got)}".', "no date")
    if found == wanted:
        return Score(1.0, True)
    wrong = "year" if found.year != wanted.year else "month" if found.month != wanted.month else "day"
    return Score(0.0, False, f"Expected the date {wanted} but got {found}.", f"wrong {wrong}")


def last_date(value: Any, *, day_first: bool = False) -> datetime.date | None:
    """Return the last date in a value; None if there is none that a calendar has."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    read = [_date(found, day_first) for found in _DATES.finditer(as_text(value))]
    return next((date for date in reversed(read) if date is not None), None)


def _date(found: re.Match[str], day_first: bool) -> datetime.date | None:
    if found["y"]:
        return _valid(found["y"], found["m"], found["d"])
    if found["ymd"]:
        return _valid(found["ymd"][:4], found["ymd"][4:6], found["ymd"][6:])
    if found["a"]:
        day, month = found["a"], found["b"]
        is_month_first = not day_first and found["by"] != "."
        if int(day) <= 12 and (is_month_first or int(month) > 12):
            day, month = month, day
        return _valid(found["ab_y"], month, day)
    month_name = _plain(found["name"] or found["name2"])
    if month_name not in _MONTH:
        return None
    return _valid(found["y1"] or found["y2"], str(_MONTH[month_name]), found["d1"] or found["d2"])


def _valid(year: str, month: str, day: str) -> datetime.date | None:
    try:
        return datetime.date(int(year), int(month), int(day))
    except ValueError:
        return None


def _plain(name: str) -> str:
    """Return a name without capitals and accents."""
    apart = unicodedata.normalize("NFD", name.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))

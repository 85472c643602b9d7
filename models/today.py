"""Today's date in prompts: which chat templates print it, and which date stands in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

TODAY = "2026-01-01"
"""The date that a template gets which prints today's; the template switch `today` sets another."""

_PRINTS_TODAY = re.compile(r"\b(strftime_now|currentDate|date_string)\b")
"""A function of jinja templates, one of Ollama's own, and a variable that llama-server sets."""


@dataclass(frozen=True)
class PrintedDate:
    """The date that a model's prompts show; a pinned one is the same every day."""

    text: str
    is_pinned: bool


def printed_date(template: str | None, switches: Mapping[str, Any], *, pins: bool) -> PrintedDate | None:
    """Return the date in the prompts that a template makes, or None where it prints none.

    It is the one that the switches choose if whoever fills the template in `pins` it, else today's.
    """
    if not template or not _PRINTS_TODAY.search(template):
        return None
    text = chosen_date(switches) if pins else date.today().isoformat()
    return PrintedDate(text, pins)


def date_in_key(printed: PrintedDate | None) -> dict[str, Any]:
    """Return what the date adds to what an answer depends on: nothing where the prompts show none."""
    return {"today": printed.text} if printed else {}


def chosen_date(switches: Mapping[str, Any]) -> str:
    """Return the date that the template switches choose for every day."""
    return str(switches.get("today", TODAY))


def formatter(chosen: str) -> Callable[[str], str]:
    """Return what writes a date in a given form; what isn't an ISO date stays as it is."""
    try:
        return datetime.fromisoformat(chosen).strftime
    except ValueError:
        return lambda _form: chosen

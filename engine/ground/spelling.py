"""The name that a person probably meant when they wrote one that doesn't exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None where nothing looks like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean ...? ", to be followed by a hint, or nothing where no known name is close."""
    meant = closest(name, known)
    return f"Did you mean {meant}? " if meant else ""

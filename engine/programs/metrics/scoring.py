"""Scores of a comparison, with feedback that shows what differs."""

from __future__ import annotations

import unicodedata
from typing import Any

from engine.ground.score import Score
from engine.programs.formatting import as_text

_LONGEST_LABEL = 40


def matched(expected: Any, got: Any, is_equal: bool, what: str = "") -> Score:
    """Return 1 or 0; `what` says how the expected value is meant: "an answer that contains "."""
    if is_equal:
        return Score(1.0, True)
    wanted, found = as_text(expected), as_text(got)
    feedback = f'Expected {what}"{wanted}" but got "{found}".{_hidden_difference(wanted, found)}'
    return Score(0.0, False, feedback, category(expected))


def category(expected: Any) -> str:
    """Return the kind of failure that missing a value is: its own, if the value is short."""
    label = as_text(expected).strip()
    return f"expected {label}" if len(label) <= _LONGEST_LABEL and "\n" not in label else "mismatch"


def _hidden_difference(wanted: str, found: str) -> str:
    """Name the first characters that differ, if the texts have the same length and look much the same."""
    pairs = [(ours, theirs) for ours, theirs in zip(wanted, found, strict=False) if ours != theirs]
    if len(wanted) != len(found):
        extra = [char for char in wanted + found if unicodedata.category(char) in ("Cf", "Cc", "Zs")]
        odd = sorted({_named(char) for char in extra if char not in " \n\t"})
        is_same = _visible(wanted) == _visible(found)
        return f" One of them holds {', '.join(odd)}." if odd and is_same else ""
    if not pairs or len(pairs) > max(1, len(wanted) // 4):
        return ""
    ours, theirs = pairs[0]
    if ours.isascii() and theirs.isascii() and ours.isprintable() and theirs.isprintable():
        return ""
    return f" The characters are {_named(ours)} and {_named(theirs)}."


def _visible(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Zs"))


def _named(char: str) -> str:
    name = unicodedata.name(char, "a control character")
    return f"U+{ord(char):04X} {name}"

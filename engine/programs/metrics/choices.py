"""Multiple choice: which of the choices an answer makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.ground.score import Score
from engine.programs.formatting import as_text
from engine.programs.metrics.scoring import category
from engine.programs.metrics.texts import contains, normalize

_ALONE = re.compile(r"^\W*([A-Za-z])(?:\W*$|[).:\]]+(?:\s|$))")
_SAID = re.compile(r"\b(?:answer|choice|option)\b(?:\s+is)?\W{0,6}([A-Z])\b(?!['\u2019])", re.IGNORECASE)
_LETTER = re.compile(
    r"(?<![\w'\u2019])\(?([B-HJ-Z]|[A-Z](?=[).:]|,? *(?:and|or|&|/) *\(?[A-Z]\b))(?![\w'\u2019])"
)


def choice_score(expected: Any, got: Any, choices: Sequence[str]) -> Score:
    """Return whether an answer makes the expected choice, and no other beside it.

    `choices` are all that may be chosen; without them they are letters: "B", "(b)", "B) Paris" and "The
    answer is B." all choose B.
    """
    wanted, text = as_text(expected), as_text(got)
    found = _among(text, choices) if choices else _letters(text)
    if len(found) == 1 and normalize(found[0]) == normalize(_letter_of(wanted, choices)):
        return Score(1.0, True)
    if not found:
        return Score(0.0, False, f'Expected the choice "{wanted}" but got "{text}".', "no choice")
    if len(found) > 1:
        feedback = f'Expected the choice "{wanted}" alone but got {", ".join(found)}.'
        return Score(0.0, False, feedback, "several choices")
    return Score(0.0, False, f'Expected the choice "{wanted}" but got "{found[0]}".', category(expected))


def _letter_of(wanted: str, choices: Sequence[str]) -> str:
    return wanted if choices else next(iter(_letters(wanted)), wanted)


def _among(text: str, choices: Sequence[str]) -> list[str]:
    """Return the choices that a text names; a choice within a longer one that is named doesn't count."""
    same = [choice for choice in choices if normalize(choice) == normalize(text)]
    if same:
        return same[:1]
    named = [choice for choice in choices if contains(text, choice)]
    return [
        choice for choice in named if not any(other != choice and contains(other, choice) for other in named)
    ]


def _letters(text: str) -> list[str]:
    if alone := _ALONE.match(text.strip()):
        return [alone[1].upper()]
    said = _SAID.findall(text)
    return [said[-1].upper()] if said else list(dict.fromkeys(_LETTER.findall(text)))

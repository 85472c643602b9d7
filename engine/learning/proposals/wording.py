"""Rule sentences that the program composes itself: small models write topics, not rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ground.examples import Item
from engine.learning.answers import AnswerSpace
from engine.programs.formatting import as_text

_LONGEST_TEXT = 400


def topic_rule(topics: str, answer: Any, space: AnswerSpace, noun: str) -> str:
    """Return the rule that inputs about some topics ask for an answer."""
    return f"If the {noun} {about(topics)}, the {_spoken(space.field)} is {as_text(answer)}."


def word_rule(words: Sequence[str], answer: Any, space: AnswerSpace, noun: str) -> str:
    """Return the rule that inputs with some words ask for an answer."""
    return f"If the {noun} {mentions(words)}, the {_spoken(space.field)} is {as_text(answer)}."


def pair_rule(said: str, answer: Any, other: Any, space: AnswerSpace, noun: str) -> str:
    """Return the rule that distinguishes an answer from the one it is confused with, by what is `said`."""
    return f"If the {noun} {said}, the {_spoken(space.field)} is {as_text(answer)}, not {as_text(other)}."


def about(topics: str) -> str:
    """Return what an input with some topics does, for a rule."""
    return f"is about {topics}"


def mentions(words: Sequence[str]) -> str:
    """Return what an input with some words does, for a rule."""
    quoted = ", ".join(f'"{word}"' for word in words)
    return f"mentions {quoted}"


def values_rule(space: AnswerSpace) -> str:
    """Return the rule that lists the possible answers exactly as they are written."""
    values = ", ".join(as_text(value) for value in space.values)
    return f"The {_spoken(space.field)} is exactly one of: {values}. Write it just so."


def input_noun(item: Item) -> str:
    """Return what to call an input in a sentence: its field's name if there is one, else "input"."""
    names = list(item.inputs)
    return _spoken(names[0]) if len(names) == 1 else "input"


def input_text(item: Item) -> str:
    """Return an example's inputs as one line, shortened in the middle if they are long."""
    text = " ".join(" ".join(as_text(value) for value in item.inputs.values()).split())
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]} ... {text[-half:]}"


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip()

"""A judge asked for a grade: its probabilities where it tells them, else the grade that it writes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import dspy
from dspy.utils.exceptions import AdapterParseError

from engine.ground.score import Example
from engine.programs.formatting import as_text
from engine.programs.judge import Judge


def grade_probabilities(
    judge: Judge, messages: Sequence[Mapping[str, str]], grades: Sequence[str]
) -> list[float]:
    """Return how probable each grade is to a judge, 0..1; all 0 for a reply that can't be read.

    A judge that tells no probabilities gives the grade that it writes all of it.
    """
    if judge.scorer is not None:
        found = judge.scorer.score(messages, grades)
        top = max(found)
        weights = [math.exp(value - top) for value in found]
        return [weight / sum(weights) for weight in weights]
    said = _written(judge, messages, grades)
    return [float(grade == said) for grade in grades]


def shown_fields(example: Example, inputs: Collection[str], field: str) -> list[str]:
    """Return what a judge is shown of an example: the program's inputs, or all but the answer."""
    seen = {name: value for name, value in example.items() if name in inputs} or {
        name: value
        for name, value in example.items()
        if name not in (field, "id") and not name.startswith("_")
    }
    return [f"{name}: {as_text(value)}" for name, value in seen.items()]


def _written(judge: Judge, messages: Sequence[Mapping[str, str]], grades: Sequence[str]) -> str | None:
    grade: Any = dspy.OutputField(desc=f"one of {', '.join(grades)}")
    signature = dspy.Signature(
        {"question": (str, dspy.InputField()), "grade": (Literal[tuple(grades)], grade)},
        messages[0]["content"],
    )
    try:
        with dspy.context(lm=judge.lm.copy(temperature=0.0)):
            return str(dspy.Predict(signature)(question=messages[-1]["content"]).grade)
    except AdapterParseError:
        return None

"""Answers compared by what they mean: the cosine of their vectors, as an embedding model has them."""

from __future__ import annotations

from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Example, Score
from engine.programs.formatting import as_text
from engine.programs.judge import current_similarity
from engine.programs.metrics.scoring import category
from engine.programs.metrics.texts import canonical

RIGHT_FROM = 0.8
"""The similarity from which an answer is right, unless a project says otherwise."""


class Meaning:
    """A metric that compares the output `field` with the example's value, or the nearest of several."""

    def __init__(self, field: str, threshold: float = RIGHT_FROM) -> None:
        self._field = field
        self._threshold = threshold

    def __call__(self, example: Example, prediction: Any) -> Score:
        """Return the cosine (0..1; what points apart counts as 0); the same text is 1 without any model."""
        wanted = example[self._field]
        answer = as_text(prediction[self._field])
        known = [as_text(one) for one in (wanted if isinstance(wanted, list | tuple) else [wanted])]
        if not known:
            raise MetricError(
                "An example has no expected value to compare with.",
                hint="Give it at least one.",
                field="metric.field",
            )
        if not answer.strip():
            return Score(0.0, False, "The answer is empty.", "empty answer")
        value, nearest = max((self._similarity(one, answer), one) for one in known)
        if value >= self._threshold:
            return Score(value, True)
        feedback = (
            f'Expected what means "{nearest}" but got "{answer}" (similarity {value:.2f}, '
            f"{self._threshold:.2f} is asked for)."
        )
        return Score(value, False, feedback, category(wanted))

    @staticmethod
    def _similarity(first: str, second: str) -> float:
        if canonical(first) == canonical(second):
            return 1.0
        return min(1.0, max(0.0, current_similarity()(first, second)))

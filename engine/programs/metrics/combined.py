"""Several metrics as one: the mean of their scores by weight, with each of them beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from engine.ground.score import Example, MetricScore, Score
from engine.programs.coercion import BoundMetric
from engine.programs.formatting import as_text
from engine.programs.judge import Judge
from engine.programs.metrics.texts import canonical, normalize
from engine.programs.steps import Step

ClassOf: TypeAlias = Callable[[Any], str]
"""Returns the class that a value of a field names."""


@dataclass(frozen=True)
class WeightedMetric:
    """A metric with its name and weight; by class, it compares the classes that values of `field` name."""

    name: str
    metric: BoundMetric
    weight: float = 1.0
    field: str = ""
    class_of: ClassOf | None = None

    def part(self, score: Score, example: Example, prediction: Any) -> MetricScore:
        """Return a score as a part of a sum."""
        if self.class_of is None:
            return MetricScore(value=score.value, is_success=score.is_success)
        expected = self.class_of(example[self.field])
        answered = expected if score.is_success else self._answered(prediction)
        return MetricScore(
            value=score.value, is_success=score.is_success, expected=expected, answered=answered
        )

    def _answered(self, prediction: Any) -> str:
        try:
            return self.class_of(prediction[self.field]) if self.class_of and prediction is not None else ""
        except (KeyError, IndexError, TypeError):
            return ""


class CombinedMetric(BoundMetric):
    """The weighted mean of several metrics; an answer is right if each metric that counts says so.

    Feedback and kind of failure come from the metrics that aren't satisfied, the one that costs most first.
    """

    def __init__(self, parts: Sequence[WeightedMetric], name: str) -> None:
        self.name = name
        self._parts = tuple(parts)
        self._total = sum(part.weight for part in parts)

    def __call__(self, example: Example, prediction: Any, steps: Sequence[Step] | None = None) -> Score:
        """Return the score of a prediction, with the score of each metric in `metrics`."""
        return self._combined(
            {part.name: part.metric(example, prediction, steps) for part in self._parts}, example, prediction
        )

    def untimed(self, example: Example, prediction: Any) -> Score:
        """Return the score of a prediction in this thread, however long it takes."""
        scores = {part.name: part.metric.untimed(example, prediction) for part in self._parts}
        return self._combined(scores, example, prediction)

    def unanswered(self, example: Example, problem: str, error_type: str) -> Score:
        """Return the score of an example to which there is no answer: 0 by each metric."""
        score = Score(0.0, False, problem, error_type)
        return score.model_copy(
            update={"metrics": {part.name: part.part(score, example, None) for part in self._parts}}
        )

    def judged_by(self, judge: Judge, *, is_default: bool = False) -> CombinedMetric:
        """Return this metric with a judge for what its parts ask."""
        bound = [
            replace(part, metric=part.metric.judged_by(judge, is_default=is_default)) for part in self._parts
        ]
        return CombinedMetric(bound, self.name)

    def _combined(self, scores: Mapping[str, Score], example: Example, prediction: Any) -> Score:
        counted = [part for part in self._parts if part.weight > 0]
        value = sum(part.weight * scores[part.name].value for part in counted) / self._total
        missed = sorted(
            (part for part in counted if not scores[part.name].is_success),
            key=lambda part: -part.weight * (1 - scores[part.name].value),
        )
        return Score(
            min(1.0, value),
            not missed,
            "\n".join(filter(None, (self._said(part.name, scores[part.name].feedback) for part in missed))),
            self._said(missed[0].name, scores[missed[0].name].error_type) if missed else "",
            self._metadata(scores),
            {part.name: part.part(scores[part.name], example, prediction) for part in self._parts},
        )

    def _said(self, name: str, text: str) -> str:
        return f"{name}: {text}" if text and len(self._parts) > 1 else text

    def _metadata(self, scores: Mapping[str, Score]) -> dict[str, Any]:
        """Return what the metrics say besides, by their names; what they say of one step is joined."""
        if len(self._parts) == 1:
            return next(iter(scores.values())).metadata
        steps: dict[str, str] = {}
        found: dict[str, Any] = {}
        for name, score in scores.items():
            own = dict(score.metadata)
            told = own.pop("steps", None)
            for step, text in told.items() if isinstance(told, Mapping) else ():
                steps[step] = "\n".join(filter(None, (steps.get(step, ""), f"{name}: {text}")))
            found |= {f"{name}: {key}": value for key, value in own.items()}
        return {**found, **({"steps": steps} if steps else {})}


def class_by(kind: str) -> ClassOf:
    """Return how a ready-made metric tells classes apart."""
    same = canonical if kind == "exact_match" else normalize
    return lambda value: same(as_text(value))

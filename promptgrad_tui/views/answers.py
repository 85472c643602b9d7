"""What a program answered to an example, and its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.ground.metric_scores import mean_of
from engine.ground.score import MetricScore
from engine.journal.events import RolloutFinished
from engine.programs.formatting import as_text


@dataclass(frozen=True)
class Answer:
    """What a program answered to one example, and its score (0..1).

    If the example was repeated, the score is the mean, one wrong answer counts as wrong, and the
    first answer is kept. `prediction` is None where the answer could not be read, and where only its
    score was kept (`is_kept` is false then). `completions` are the keys of the model's calls in the journal.
    """

    score: float
    is_success: bool
    feedback: str = ""
    error_type: str = ""
    prediction: Mapping[str, Any] | None = None
    completions: tuple[str, ...] = ()
    is_kept: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, MetricScore] = field(default_factory=dict)

    @classmethod
    def of(cls, rollouts: Sequence[RolloutFinished]) -> Answer:
        """Return the answer of a rollout and its repeats."""
        first = rollouts[0]
        return cls(
            score=sum(rollout.score for rollout in rollouts) / len(rollouts),
            is_success=all(rollout.is_success for rollout in rollouts),
            feedback=first.feedback,
            error_type=first.error_type,
            metadata=first.metadata,
            metrics=mean_of([rollout.metrics for rollout in rollouts]),
            prediction=first.prediction,
            completions=first.completions,
        )

    @property
    def text(self) -> str:
        """What was answered, on one line for each field."""
        if self.prediction is None:
            return "unreadable" if self.is_kept else "only the score was kept"
        return "\n".join(f"{name}: {value}" for name, value in self.shown.items())

    @property
    def shown(self) -> dict[str, str]:
        """What was answered, as text by field."""
        return {name: as_text(value) for name, value in (self.prediction or {}).items()}

    def judged(self, expected: Mapping[str, Any]) -> str:
        """Return the fields that have an expected value, or all where none has.

        A single field comes without its name.
        """
        judged = {name: value for name, value in self.shown.items() if name in expected}
        if len(judged) == 1:
            return next(iter(judged.values()))
        return replace(self, prediction=judged).text if judged else self.text

"""A router as it is served: the small model answers, and the large one where the small one isn't sure."""

from __future__ import annotations

from inspect import signature
from typing import Any

import dspy

from engine.journal.replay import cause_of
from engine.programs.faults import fault_of
from engine.release.routing.confidence import Confidence


class RoutedProgram(dspy.Module):
    """A program of two: `large` is asked where the small one's answer has too small a margin, or none."""

    def __init__(self, small: dspy.Module, large: dspy.Module, confidence: Confidence, margin: float) -> None:
        super().__init__()
        self.small = small
        self.large = large
        self._routing: dict[str, Any] = {"confidence": confidence, "margin": margin}

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Answer one input."""
        try:
            answer = self.small(**inputs)
        except Exception as error:
            if cause_of(error) is not None or fault_of(error) == "code":
                raise
            return self.large(**inputs)  # as was measured: there is no answer that could stand
        margin = self._routing["confidence"].margin(inputs, dict(answer.items()))
        return answer if margin is not None and margin >= self._routing["margin"] else self.large(**inputs)


class ModelScorer:
    """The log-probabilities of an opened model, of answers compared with each other."""

    def __init__(self, model: Any) -> None:
        self._score = model.score
        self._options = {"among": True} if "among" in signature(model.score).parameters else {}

    def score(self, messages: Any, continuations: Any) -> list[float]:
        """Return the log-probability of each continuation."""
        return [float(value) for value in self._score(messages, continuations, **self._options)]


def gives_log_probabilities(model: Any) -> bool:
    """Whether an opened model can say how probable an answer is."""
    return callable(getattr(model, "score", None)) and bool(getattr(model, "can_score", True))

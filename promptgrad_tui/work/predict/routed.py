"""A router as it is served: the small model answers, and the large one where the small one isn't sure."""

from __future__ import annotations

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

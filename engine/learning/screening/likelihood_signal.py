"""The likelihood of right answers as the evidence that ranks candidates."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.examples import Item
from engine.learning.screening.likelihood import Likelihood
from engine.learning.screening.signal import SignalName
from engine.programs.state import LearnedState

LEAST_LOG_P = -4.6
"""The log of 0.01: no single example should outweigh all others."""


class LikelihoodSignal:
    """The log-probability of the right answer among its rivals; nothing is decoded."""

    name: SignalName = "likelihood"

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood = likelihood

    @property
    def asked(self) -> int:
        """How many prompts were scored."""
        return self.likelihood.asked

    def values(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return log p of each right answer, at least log 0.01."""
        return [max(found.of_right, LEAST_LOG_P) for found in self.likelihood.of(state, items)]

    def covers(self, item: Item) -> bool:
        """Return whether the right answer has a rival."""
        return len(self.likelihood.answers(item)) > 1

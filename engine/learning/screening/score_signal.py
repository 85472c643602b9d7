"""Scores of decoded answers as the evidence that ranks candidates, for models without log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.examples import Item
from engine.learning.rollouts import RolloutRunner
from engine.learning.screening.signal import SignalName
from engine.programs.state import LearnedState


class ScoreSignal:
    """The metric's score of decoded answers, for models without log-probabilities."""

    name: SignalName = "score"

    def __init__(self, runner: RolloutRunner) -> None:
        self._runner = runner
        self.asked = 0

    def values(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return each answer's score."""
        self.asked += sum(not self._runner.is_known(state, item) for item in items)
        return [rollout.score.value for rollout in self._runner.run(state, items)]

    def covers(self, item: Item) -> bool:
        """Return True: any answer can be scored."""
        del item
        return True

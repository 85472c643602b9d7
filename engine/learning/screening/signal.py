"""The graded evidence that ranks candidates before any is tested, always on training examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from engine.ground.examples import Item
from engine.learning.rollouts import RolloutRunner
from engine.learning.screening.likelihood import Likelihood
from engine.programs.state import LearnedState

SignalName = Literal["likelihood", "score"]

LEAST_LOG_P = -4.6
"""The log of 0.01: no single example should outweigh all others."""


class Signal(Protocol):
    """The value of a state on examples, one number each; higher is better."""

    @property
    def name(self) -> SignalName:
        """The name of the evidence."""
        ...

    @property
    def asked(self) -> int:
        """How many prompts were scored or answers decoded so far."""
        ...

    def values(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return a state's value on each of the examples."""
        ...

    def covers(self, item: Item) -> bool:
        """Return whether an example is informative."""
        ...


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

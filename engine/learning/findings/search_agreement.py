"""How far the model that searches gives the answers of the one that proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.ground.examples import Item
from engine.learning.rollouts import Rollout, RolloutRunner
from engine.programs.formatting import as_text
from engine.programs.state import LearnedState

COMPARED = 12
"""Answers that are compared, on the first training examples."""

LEAST_AGREEMENT = 0.8
"""The share of them that has to be the same: below it, the search would look for what another model needs."""


@dataclass(frozen=True)
class SearchAgreement:
    """Of `n` answers, `same` are the same; the first that differs, by its example, as both gave it."""

    n: int
    same: int
    example: str = ""
    proved: str = ""
    searched: str = ""

    @property
    def is_enough(self) -> bool:
        """Whether the search may go on with that model."""
        return self.same >= LEAST_AGREEMENT * self.n

    def __str__(self) -> str:
        text = f"{self.same} of {self.n} answers are the same"
        if not self.example:
            return text
        return f"{text}; the first that differs: {self.proved!r} there, {self.searched!r} in process"


def search_agreement(
    prover: RolloutRunner, searcher: RolloutRunner, items: Sequence[Item]
) -> SearchAgreement:
    """Compare the answers of two models to the first of these examples, under the base instructions.

    Raises:
        PromptGradError: as `RolloutRunner.run` does.
    """
    compared = items[:COMPARED]
    rollouts = zip(
        compared,
        prover.run(LearnedState(), compared),
        searcher.run(LearnedState(), compared),
        strict=True,
    )
    answers = [(item.key, _answer(item, one), _answer(item, other)) for item, one, other in rollouts]
    differing = [answer for answer in answers if answer[1] != answer[2]]
    same = len(answers) - len(differing)
    return SearchAgreement(len(answers), same, *(differing[0] if differing else ()))


def _answer(item: Item, rollout: Rollout) -> str:
    """Return what was answered in the fields that the example has: the way there may be told otherwise."""
    if rollout.prediction is None:
        return "unreadable"
    values = {name: value for name, value in rollout.prediction.items() if name in item.values}
    return "; ".join(as_text(value) for value in (values or rollout.prediction).values())

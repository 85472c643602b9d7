"""The interface of all methods: a task with a budget of model calls in, a program out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dspy

from engine.ground.errors import ConfigError
from engine.ground.model import Messages
from engine.ground.score import Example, Metric, Score
from engine.journal.events import Emit


@dataclass(frozen=True)
class MethodTask:
    """What a method works on; `calls` bounds the model calls of the task and the reflection model together.

    `inputs` are the fields of an example that the program takes. Both models are the run's own, so that every
    answer is recorded; `calls` counts stored answers too, so that a resumed method behaves the same. `fits`
    says whether a prompt leaves room for its answer in the reflection model's context.
    """

    program: dspy.Module
    train: Sequence[Example]
    validation: Sequence[Example]
    inputs: frozenset[str]
    metric: Metric
    lm: dspy.LM
    reflection_lm: dspy.LM
    adapter: dspy.Adapter
    calls: int
    seed: int
    threads: int
    emit: Emit
    fits: Callable[[Messages], bool] = lambda messages: True  # noqa: ARG005

    @property
    def steps(self) -> int:
        """How many calls one run of the program takes."""
        return max(len(self.program.predictors()), 1)

    def dspy_examples(self, examples: Sequence[Example]) -> list[dspy.Example]:
        """Return examples as DSPy's classes take them."""
        return [dspy.Example(dict(example)).with_inputs(*sorted(self.inputs)) for example in examples]

    def score(self, example: Mapping[str, Any], prediction: Any) -> Score:
        """Score the program's answer; an empty answer is wrong."""
        if not hasattr(prediction, "items") or not dict(prediction.items()):
            return Score(0.0, False, "There was no answer that could be read.", "unparseable")
        return self.metric(dict(example), prediction)

    def need(self, method: str, calls: int, examples: str = "") -> None:
        """Refuse a budget for less than one candidate; `examples` are those on which the minimum depends.

        Raises:
            ConfigError: `calls` is below the method's minimum.
        """
        if self.calls < calls:
            raise ConfigError(
                f"{method} can't try one candidate with {self.calls} calls: on "
                f"{examples or f'{len(self.validation)} validation examples'} it takes at least {calls}.",
                hint=f"Give it {calls} calls or more, or use fewer of these examples.",
            )


class Method(Protocol):
    """An optimizer of programs."""

    def __call__(self, task: MethodTask) -> dspy.Module:
        """Return the program that the method found within the task's budget.

        Raises:
            ConfigError: the budget or the data are too small for it; the hint says what is needed.
            BudgetExhaustedError: the budget ended it before it had a result.
        """

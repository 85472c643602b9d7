"""What became of each held-out example between two programs: fixed, broken, failing or the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from engine.journal.events import RolloutFinished
from engine.programs.formatting import as_text
from engine.programs.state import LearnedState

if TYPE_CHECKING:
    from promptgrad_tui.work.measure.project_examples import ProjectExamples

HeldOut: TypeAlias = Literal["validation", "test"]
Change: TypeAlias = Literal["fixed", "broken", "failing", "same"]

CHANGES: Mapping[Change, str] = {
    "fixed": "wrong before, right now",
    "broken": "right before, wrong now",
    "failing": "wrong before and now",
    "same": "right before and now",
}
"""What may happen to an example, in words."""
CHANGED: Sequence[Change] = ("fixed", "broken")


@dataclass(frozen=True)
class Answer:
    """What a program answered to one example, and its score (0..1).

    Where it was asked several times, the score is the mean, one wrong answer counts as wrong, and the
    first answer is told. `prediction` is None where the answer could not be read, and where only its
    score was kept (`is_kept` is false then). `completions` are the keys of the model's calls in the journal.
    """

    score: float
    is_success: bool
    feedback: str = ""
    error_type: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    prediction: Mapping[str, Any] | None = None
    completions: tuple[str, ...] = ()
    is_kept: bool = True

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

        A single one is told without its name.
        """
        judged = {name: value for name, value in self.shown.items() if name in expected}
        if len(judged) == 1:
            return next(iter(judged.values()))
        return replace(self, prediction=judged).text if judged else self.text


@dataclass(frozen=True)
class ExampleChange:
    """One held-out example: its fields, and the answers of the program before and of the one after."""

    key: str
    name: str
    slice: str
    fields: Mapping[str, str]
    before: Answer
    after: Answer

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.after.is_success:
            return "same" if self.before.is_success else "fixed"
        return "broken" if self.before.is_success else "failing"

    @property
    def expected(self) -> dict[str, str]:
        """The fields that one of the programs answers, with the values that are right."""
        answered = {*(self.before.prediction or ()), *(self.after.prediction or ())}
        return {name: value for name, value in self.fields.items() if name in answered}

    @property
    def inputs(self) -> dict[str, str]:
        """The other fields."""
        return {name: value for name, value in self.fields.items() if name not in self.expected}


def held_out_answers(
    rollouts: Iterable[RolloutFinished], split: HeldOut, state: LearnedState, *, is_conditional: bool = False
) -> dict[str, Answer]:
    """Return what the program with a learned state answered to the examples of a split, by their keys.

    A conditional program's answers are known for the test split alone: they are the last ones to each
    example, with the rules that it met.
    """
    if is_conditional and split != "test":
        return {}
    seen: dict[str, dict[str, list[RolloutFinished]]] = {}
    for rollout in rollouts:
        if rollout.split == split:
            seen.setdefault(rollout.example, {}).setdefault(rollout.rules, []).append(rollout)
    found = {}
    for key, by_rules in seen.items():
        repeats = by_rules.get(state.digest)
        if repeats is None and is_conditional:
            repeats = list(by_rules.values())[-1]
        if repeats is not None:
            found[key] = Answer.of(sorted(repeats, key=lambda rollout: rollout.repeat))
    return found


def example_changes(
    before: Mapping[str, Answer], after: Mapping[str, Answer], examples: ProjectExamples
) -> Sequence[ExampleChange]:
    """Return what became of each example that both programs answered, in the order of the data."""
    order = {key: place for place, key in enumerate(examples.by_key)}
    return [
        ExampleChange(
            key=key,
            name=examples.name(key),
            slice=examples.slice(key),
            fields=examples.fields(key),
            before=before[key],
            after=after[key],
        )
        for key in sorted(before.keys() & after.keys(), key=lambda key: (order.get(key, len(order)), key))
    ]

"""What two programs answered to the held-out examples, paired by example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.journal.events import RolloutFinished
from engine.programs.state import LearnedState
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import ExampleChange, HeldOut

if TYPE_CHECKING:
    from promptgrad_tui.work.measure.project_examples import ProjectExamples


def held_out_answers(
    rollouts: Iterable[RolloutFinished], split: HeldOut, state: LearnedState, *, is_conditional: bool = False
) -> dict[str, Answer]:
    """Return what the program with a learned state answered to the examples of a split, by their keys.

    A conditional program's answers are known for the test split alone: they are the last ones to each
    example, with the rules and demonstrations that it met.
    """
    if is_conditional and split != "test":
        return {}
    seen: dict[str, dict[str, list[RolloutFinished]]] = {}
    for rollout in rollouts:
        if rollout.split == split and not rollout.searched:
            seen.setdefault(rollout.example, {}).setdefault(rollout.rules, []).append(rollout)
    found = {}
    for key, by_rules in seen.items():
        repeats = by_rules.get(state.digest)
        if repeats is None and is_conditional:
            repeats = list(by_rules.values())[-1]
        if repeats is not None:
            found[key] = Answer.of(sorted(repeats, key=lambda rollout: rollout.repeat))
    return found


def is_conditional(config: Mapping[str, Any], state: LearnedState) -> bool:
    """Return whether each input met only a part of a state, by a run's configuration."""
    of_rules = config.get("conditional_rules") and len(state.rules)
    return bool(of_rules or (config.get("conditional_demonstrations") and len(state.demonstrations)))


def example_changes(
    before: Mapping[str, Answer], after: Mapping[str, Answer], examples: ProjectExamples
) -> Sequence[ExampleChange]:
    """Return the change in each example that both programs answered, in the order of the data."""
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

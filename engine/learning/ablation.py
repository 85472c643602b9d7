"""What each layer of a state contributes: the program with only one layer, on the validation split."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.examples import Item
from engine.ground.interval import Interval
from engine.ground.statistics import mean_interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.events import Emit
from engine.learning.rollouts import RolloutRunner
from engine.programs.rules import RuleSet
from engine.programs.state import LearnedState


def compare_layers(
    runner: RolloutRunner, state: LearnedState, validation: Sequence[Item], emit: Emit
) -> LayersCompared | None:
    """Return the scores of the base, of each layer alone, and of both; None if nothing was learned.

    Only a state with both layers costs anything: all others have been scored before.
    """
    if not state:
        return None

    def interval(of: LearnedState) -> Interval:
        return mean_interval([rollout.score.value for rollout in runner.run(of, validation)])

    has_rules, has_shown = len(state.rules) > 0, len(state.demonstrations) > 0
    compared = LayersCompared(
        id=f"layers/{state.digest}",
        base=interval(LearnedState()),
        rules_only=interval(LearnedState(state.rules)) if has_rules else None,
        demonstrations_only=interval(LearnedState(RuleSet(), state.demonstrations)) if has_shown else None,
        both=interval(state),
    )
    emit(compared)
    return compared

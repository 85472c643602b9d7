"""What one input meets of a learned state: the rules that concern it, and the demonstrations most like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.programs.demonstrations import DemonstrationSet
from engine.programs.nearest import nearest_demonstrations
from engine.programs.rules import RuleSet
from engine.programs.state import LearnedState
from engine.programs.triggers import select_rules


@dataclass(frozen=True)
class RuleSelection:
    """Which rules apply to one input: at most `top_k`, each overlapping at least `min_overlap` (0..1)."""

    top_k: int
    min_overlap: float

    def __call__(self, rules: RuleSet, inputs: Mapping[str, Any]) -> RuleSet:
        """Return the rules of `rules` that concern `inputs`, in their order."""
        return select_rules(rules, inputs, top_k=self.top_k, min_overlap=self.min_overlap)


@dataclass(frozen=True)
class Selection:
    """Which layers are chosen for each input, and how.

    Without `rules` every input meets all rules. `nearest` is how many demonstrations an input meets; with 0
    it meets all of them, in their order.
    """

    rules: RuleSelection | None = None
    nearest: int = 0

    def __call__(self, state: LearnedState, inputs: Mapping[str, Any]) -> LearnedState:
        """Return what `inputs` meet of a state."""
        if self.rules is not None:
            state = state.with_rules(self.rules(state.rules, inputs))
        if self.nearest:
            nearest = nearest_demonstrations(state.demonstrations, inputs, self.nearest)
            state = state.with_demonstrations(DemonstrationSet(nearest))
        return state

    def always(self, state: LearnedState) -> LearnedState:
        """Return what every input meets of a state."""
        return LearnedState(
            RuleSet() if self.rules is not None else state.rules,
            DemonstrationSet() if self.nearest else state.demonstrations,
        )

"""Conditional rules: each input meets only the rules whose trigger fits it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dspy

from engine.program import FrozenProgram
from engine.rules import RuleSet
from engine.triggers import select_rules


class RuleSelection:
    """Which rules apply to one input: at most `top_k`, each overlapping at least `min_overlap` (0..1)."""

    def __init__(self, top_k: int, min_overlap: float) -> None:
        self.top_k = top_k
        self.min_overlap = min_overlap

    def __call__(self, rules: RuleSet, inputs: Mapping[str, Any]) -> RuleSet:
        """Return the rules of `rules` that concern `inputs`, in their order."""
        return select_rules(rules, inputs, top_k=self.top_k, min_overlap=self.min_overlap)


class ConditionalProgram(dspy.Module):
    """A program that picks its rules for each input when it is called.

    Its state (`save`, `load`) is the base program's: rules and selection belong to the constructor.
    """

    def __init__(self, module: dspy.Module, rules: RuleSet, top_k: int, min_overlap: float) -> None:
        super().__init__()
        self.base = module
        self._rules = rules
        self._select = RuleSelection(top_k, min_overlap)
        frozen = FrozenProgram(module)
        self._program_for = lru_cache(maxsize=256)(frozen.with_rules)
        self._take_inputs = frozen.take_inputs

    def forward(self, **inputs: Any) -> Any:
        """Run the base program with the rules that concern `inputs`."""
        return self._program_for(self._select(self._rules, self._take_inputs(inputs)))(**inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> ConditionalProgram:
        """Return an independent copy; the rules are immutable and shared."""
        return ConditionalProgram(
            self.base.deepcopy(), self._rules, self._select.top_k, self._select.min_overlap
        )

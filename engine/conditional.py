"""Conditional rules: each input meets only the rules whose trigger fits it."""

from __future__ import annotations

from collections.abc import Mapping
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

    Its state (`save`, `load`) and LM are the base program's: rules and selection belong to the constructor.
    """

    def __init__(self, module: dspy.Module, rules: RuleSet, top_k: int, min_overlap: float) -> None:
        super().__init__()
        self.base = module
        self._rules = rules
        self._select = RuleSelection(top_k, min_overlap)

    def forward(self, **inputs: Any) -> Any:
        """Run the base program with the rules that concern `inputs`."""
        return self._program_for(inputs)(**inputs)

    async def aforward(self, **inputs: Any) -> Any:
        """Run the base program with the rules that concern `inputs`, without blocking."""
        return await self._program_for(inputs).acall(**inputs)

    def _program_for(self, inputs: Mapping[str, Any]) -> dspy.Module:
        # Made of the base as it is now: it may have been given another state, demonstrations or an LM.
        program = FrozenProgram(self.base)
        return program.with_rules(self._select(self._rules, program.take_inputs(inputs)))

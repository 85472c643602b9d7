"""Conditional rules: each input meets only the rules whose trigger fits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from engine.ground.errors import DataError
from engine.programs.program import FrozenProgram, run_program
from engine.programs.rules import Rule, RuleSet
from engine.programs.triggers import select_rules

_STATE = "conditional_rules"


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

    `save` writes its rules next to the state of the base program; `ConditionalProgram(base).load(path)`
    restores both. Its LM is the base program's.
    """

    def __init__(
        self, module: dspy.Module, rules: RuleSet | None = None, top_k: int = 5, min_overlap: float = 0.1
    ) -> None:
        super().__init__()
        self.base = module
        self._rules = rules if rules is not None else RuleSet()
        self._select = RuleSelection(top_k, min_overlap)

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """Return the base program's state and the rules."""
        rules = {
            "rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in self._rules],
            "top_k": self._select.top_k,
            "min_overlap": self._select.min_overlap,
        }
        return {**super().dump_state(json_mode=json_mode), _STATE: rules}

    def load_state(self, state: dict[str, Any], **options: Any) -> None:
        """Take over a state: the base program's, and the rules if it has any.

        Raises:
            DataError: the rules can't be read.
        """
        rules, select = _saved(state[_STATE]) if _STATE in state else (self._rules, self._select)
        super().load_state(state, **options)
        self._rules, self._select = rules, select

    def forward(self, **inputs: Any) -> Any:
        """Run the base program with the rules that concern `inputs`."""
        return run_program(self._program_for(inputs), inputs)

    async def aforward(self, **inputs: Any) -> Any:
        """Run the base program with the rules that concern `inputs`, without blocking."""
        return await self._program_for(inputs).acall(**inputs)

    def _program_for(self, inputs: Mapping[str, Any]) -> dspy.Module:
        # Built from the current base: it may have been given another state, demonstrations or an LM.
        program = FrozenProgram(self.base)
        return program.with_rules(self._select(self._rules, program.take_inputs(inputs)))


def _saved(state: Mapping[str, Any]) -> tuple[RuleSet, RuleSelection]:
    try:
        rules = RuleSet(map(Rule.model_validate, state["rules"]))
        return rules, RuleSelection(int(state["top_k"]), float(state["min_overlap"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The {_STATE} of the saved program can't be read: {type(error).__name__}.",
            hint="Save the optimized program again.",
        ) from error

"""Conditional programs: each input meets only the rules that concern it, or the demonstrations like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from engine.ground.errors import DataError
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.program import FrozenProgram, run_program
from engine.programs.rules import Rule, RuleSet
from engine.programs.selection import RuleSelection, Selection
from engine.programs.state import LearnedState

_RULES = "conditional_rules"
_DEMONSTRATIONS = "conditional_demonstrations"


class ConditionalProgram(dspy.Module):
    """A program that picks its rules and its demonstrations for each input when it is called.

    Of `demonstrations` an input meets the `nearest` most similar ones, the most similar last. `save` writes
    what it picks from next to the state of the base program; `ConditionalProgram(base).load(path)` restores
    both. Its LM is the base program's.
    """

    def __init__(
        self,
        module: dspy.Module,
        rules: RuleSet | None = None,
        top_k: int = 5,
        min_overlap: float = 0.1,
        *,
        demonstrations: DemonstrationSet | None = None,
        nearest: int = 0,
    ) -> None:
        super().__init__()
        self.base = module
        self._rules = rules if rules is not None else RuleSet()
        self._select = RuleSelection(top_k, min_overlap)
        self._demonstrations = demonstrations if demonstrations is not None else DemonstrationSet()
        self._nearest = nearest

    @property
    def learned(self) -> LearnedState:
        """What it picks from: everything that some input may meet."""
        return LearnedState(self._rules, self._demonstrations)

    @property
    def selection(self) -> Selection:
        """How it picks; a layer from which there is nothing to pick has none."""
        return Selection(
            self._select if len(self._rules) else None, self._nearest if len(self._demonstrations) else 0
        )

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """Return the base program's state, the rules and the demonstrations."""
        rules = {
            "rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in self._rules],
            "top_k": self._select.top_k,
            "min_overlap": self._select.min_overlap,
        }
        state = {**super().dump_state(json_mode=json_mode), _RULES: rules}
        if not len(self._demonstrations):
            return state
        shown = [one.model_dump(mode="json", exclude_defaults=True) for one in self._demonstrations]
        return {**state, _DEMONSTRATIONS: {"demonstrations": shown, "nearest": self._nearest}}

    def load_state(self, state: dict[str, Any], **options: Any) -> None:
        """Take over a state: the base program's, and the rules and demonstrations if it has any.

        Raises:
            DataError: the rules or the demonstrations can't be read.
        """
        rules, select = _saved_rules(state[_RULES]) if _RULES in state else (self._rules, self._select)
        demonstrations, nearest = (
            _saved_demonstrations(state[_DEMONSTRATIONS])
            if _DEMONSTRATIONS in state
            else (self._demonstrations, self._nearest)
        )
        super().load_state(state, **options)
        self._rules, self._select = rules, select
        self._demonstrations, self._nearest = demonstrations, nearest

    def forward(self, **inputs: Any) -> Any:
        """Run the base program with what concerns `inputs`."""
        return run_program(self._program_for(inputs), inputs)

    async def aforward(self, **inputs: Any) -> Any:
        """Run the base program with what concerns `inputs`, without blocking."""
        return await self._program_for(inputs).acall(**inputs)

    def _program_for(self, inputs: Mapping[str, Any]) -> dspy.Module:
        # Built from the current base: it may have been given another state, demonstrations or an LM.
        program = FrozenProgram(self.base)
        return program.with_state(self.selection(self.learned, program.take_inputs(inputs)))


def program_with(program: FrozenProgram, state: LearnedState, selection: Selection | None) -> dspy.Module:
    """Return a program with what it has learned; with a selection it picks for each input."""
    if selection is None:
        return program.with_state(state)
    base = program.with_state(selection.always(state))
    rules = (state.rules, selection.rules.top_k, selection.rules.min_overlap) if selection.rules else ()
    shown = state.demonstrations if selection.nearest else None
    return ConditionalProgram(base, *rules, demonstrations=shown, nearest=selection.nearest)


def _saved_rules(state: Mapping[str, Any]) -> tuple[RuleSet, RuleSelection]:
    try:
        rules = RuleSet(map(Rule.model_validate, state["rules"]))
        return rules, RuleSelection(int(state["top_k"]), float(state["min_overlap"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(_RULES, error) from error


def _saved_demonstrations(state: Mapping[str, Any]) -> tuple[DemonstrationSet, int]:
    try:
        shown = DemonstrationSet(map(Demonstration.model_validate, state["demonstrations"]))
        return shown, int(state["nearest"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(_DEMONSTRATIONS, error) from error


def _unreadable(part: str, error: Exception) -> DataError:
    return DataError(
        f"The {part} of the saved program can't be read: {type(error).__name__}.",
        hint="Save the optimized program again.",
    )

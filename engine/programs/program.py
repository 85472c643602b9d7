"""A DSPy module as the engine sees it: frozen base instructions, and rules on top of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import dspy

from engine.ground.errors import ConfigError, ProjectError
from engine.programs.demonstrations import demonstrations_by_predictor
from engine.programs.formatting import answer_line, as_text
from engine.programs.rules import Rule, instructions_with
from engine.programs.state import LearnedState

_NAMES_OF_DSPY = frozenset({"config", "demos", "lm", "new_signature", "self", "signature"})
"""What dspy.Predict takes for itself instead of passing it on to the prompt."""

_A_PROGRAM = "A program is a dspy.Module with a dspy.Predict or dspy.ChainOfThought inside."


class FrozenProgram:
    """A module with fixed base instructions, from which programs with rules are made.

    `inputs` are the fields the program takes from an example, `predictors` the names of its steps. If
    examples declare their inputs (`declared`), the program gets no others.

    Raises:
        ProjectError: it isn't a module, has no predictor, or an input has a reserved name.
        ConfigError: custom base instructions for a program with several predictors.
    """

    def __init__(
        self,
        module: dspy.Module,
        base_prompt_source: str = "module",
        declared: frozenset[str] | None = None,
    ) -> None:
        if not isinstance(module, dspy.Module):
            raise ProjectError(f"The program is of type {type(module).__name__}.", hint=_A_PROGRAM)
        steps = dict(module.named_predictors())
        if not steps:
            raise ProjectError("The program has no predictor to improve.", hint=_A_PROGRAM)
        if base_prompt_source != "module" and len(steps) > 1:
            raise ConfigError(
                f"base_prompt_source holds one text, and this program has {len(steps)} predictors.",
                hint='Write the instructions into the module and keep base_prompt_source = "module".',
            )
        self._module = module.deepcopy()
        self.predictors: tuple[str, ...] = tuple(steps)
        self.base = base_instructions(module, base_prompt_source)
        self.inputs: frozenset[str] | None = _input_fields(module, declared)
        _refuse_reserved_inputs(steps, self.inputs or frozenset())

    def with_state(self, state: LearnedState) -> dspy.Module:
        """Return a new module: the base with learned rules, and with demonstrations after its own."""
        module = self.with_rules(state.rules)
        own = demonstrations_by_predictor(state.demonstrations, self.predictors)
        for name, step in module.named_predictors():
            step.demos = [*step.demos, *(dspy.Example(**shown.values) for shown in own[name])]
        return module

    def with_rules(self, rules: Iterable[Rule]) -> dspy.Module:
        """Return a new module: the base with `rules` rendered after each predictor's instructions."""
        module = self._module.deepcopy()
        instructions = self.instructions(rules)
        for name, step in module.named_predictors():
            step.signature = step.signature.with_instructions(instructions[name])
        return module

    def signature(self, predictor: str) -> Any:
        """Return the signature of a predictor, with its base instructions."""
        return dict(self._module.named_predictors())[predictor].signature

    def instructions(self, rules: Iterable[Rule]) -> dict[str, str]:
        """Return the whole instructions of each predictor."""
        return instructions_with(rules, self.base)

    def task(self) -> str:
        """Return the base instructions as an analysis sees them."""
        if len(self.predictors) == 1:
            return self.base[self.predictors[0]]
        return "\n\n".join(f"Step {name}:\n{text}" for name, text in self.base.items())

    def resolve_predictor(self, name: str | None) -> str | None:
        """Return the predictor that an analysis calls `name`, or None if there is none."""
        if len(self.predictors) == 1:
            return self.predictors[0]
        wanted = (name or "").strip().removesuffix(".predict")
        return next((own for own in self.predictors if own.removesuffix(".predict") == wanted), None)

    def take_inputs(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of an example that the program is called with."""
        if self.inputs is None:
            return dict(example)
        return {key: value for key, value in example.items() if key in self.inputs}


def _refuse_reserved_inputs(steps: Mapping[str, Any], inputs: frozenset[str]) -> None:
    taken = {field for step in steps.values() for field in step.signature.input_fields}
    for name in sorted((taken | inputs) & _NAMES_OF_DSPY):
        raise ProjectError(
            f"The program has an input called {name!r}. DSPy takes that name for itself, so the input would "
            "never reach the prompt.",
            hint=f"Rename it in the signature and in the data, for example to {name}_text.",
        )
    if "id" in inputs:
        raise ProjectError(
            "The program has an input called 'id', which is the name of an example here and no part of it.",
            hint="Rename it in the signature and in the data, for example to number.",
        )


def base_instructions(module: dspy.Module, base_prompt_source: str) -> dict[str, str]:
    """Return the frozen instructions of each predictor: its own for "module", else the text that is given."""
    return {
        name: step.signature.instructions if base_prompt_source == "module" else base_prompt_source
        for name, step in module.named_predictors()
    }


def refuse_own_models(program: dspy.Module) -> None:
    """Refuse a program whose steps have an LM of their own: the measured model would be unknown.

    Raises:
        ProjectError: a step has its own LM.
    """
    own = [name for name, step in program.named_predictors() if step.lm is not None]
    if own:
        raise ProjectError(
            f"The program's step {own[0]!r} has an LM of its own.",
            hint="Take it out of the program: [model] task in promptgrad.toml names the model that answers.",
            field="program.python",
        )


def run_program(module: dspy.Module, inputs: Mapping[str, Any]) -> Any:
    """Return what `module` answers, even if it can only be awaited."""
    if hasattr(type(module), "forward"):
        return module(**inputs)
    return asyncio.run(module.acall(**inputs))


def forward_of(module: dspy.Module) -> Callable[..., Any]:
    """Return the function that a program runs: its `forward`, or its `aforward` if it can only be awaited.

    Raises:
        ProjectError: it has neither.
    """
    # Looked up on the class: DSPy warns if an instance's forward is accessed.
    forward = getattr(type(module), "forward", None) or getattr(type(module), "aforward", None)
    if forward is None:
        raise ProjectError(
            f"The program {type(module).__name__} has no forward().",
            hint="Write def forward(self, ...), which returns a dspy.Prediction.",
        )
    return cast(Callable[..., Any], forward)


def fields_of_anything(module: dspy.Module) -> tuple[str, ...]:
    """Return the fields of an example that go to a program which takes anything (`**inputs`), in order.

    Its signature names them, as in DSPy's own programs. Without a signature they are the inputs of its steps
    that no step outputs: a label must never reach the program.
    """
    own = getattr(getattr(module, "signature", None), "input_fields", None)
    if own is not None:
        return tuple(own)
    steps = module.predictors()
    made = {field for step in steps for field in step.signature.output_fields}
    taken = dict.fromkeys(field for step in steps for field in step.signature.input_fields)
    return tuple(field for field in taken if field not in made)


def _input_fields(module: dspy.Module, declared: frozenset[str] | None) -> frozenset[str] | None:
    """The names that the program takes; None if they are unknown."""
    parameters = list(inspect.signature(forward_of(module)).parameters.values())[1:]
    named = frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        return named if declared is None else named & declared
    if declared is not None:
        return declared
    return named.union(fields_of_anything(module)) or None


def trace_text(program: dspy.Module, trace: Iterable[tuple[Any, Mapping[str, Any], Any]]) -> str:
    """Return what each of several predictors saw and answered; "" for a single predictor."""
    names = {id(step): name for name, step in program.named_predictors()}
    if len(names) == 1:
        return ""
    lines = []
    for step, inputs, outputs in trace:
        seen = "; ".join(f"{key} = {as_text(value)}" for key, value in inputs.items())
        name = names.get(id(step), "?").removesuffix(".predict")
        lines.append(f"step {name}: saw {seen}; {answer_line(dict(outputs.items()))}")
    return "\n".join(lines)

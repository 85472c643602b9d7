"""The base of a run, made by another optimizer before anything is learned on top of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from engine.ground.errors import ConfigError
from engine.journal.events import Emit
from engine.journal.replay import Replay
from engine.learning.methods.method import MethodTask
from engine.learning.methods.registry import run_method
from engine.programs.coercion import as_metric
from engine.programs.program import FrozenProgram
from engine.release.run_plan import RunPlan


def made_base(plan: RunPlan, replay: Replay, emit: Emit) -> dspy.Module:
    """Return the program that rules are learned on: the plan's own, or what the base optimizer makes of it.

    Every call goes through the run's replay: a resumed run pays for no call twice and gets the same base.

    Raises:
        ConfigError: the optimizer needs more calls, more data or a package; the hint says which.
        BudgetExhaustedError: its calls ran out before it had a result.
    """
    if plan.base.optimizer is None:
        return plan.program
    if not plan.validation:
        raise ConfigError(
            f"{plan.base.optimizer} compares candidates on validation examples, and there are none.",
            hint="Set [data] validation in promptgrad.toml.",
        )
    lm = replay.lm(plan.models.task)
    same = plan.models.reflection is plan.models.task
    inputs = FrozenProgram(plan.program).inputs or _inputs_of(plan.program)
    return run_method(
        plan.base.optimizer,
        MethodTask(
            program=plan.program,
            train=_values(plan.train),
            validation=_values(plan.validation),
            inputs=frozenset(inputs),
            metric=as_metric(plan.metric),
            lm=lm,
            reflection_lm=lm if same else replay.lm(plan.models.reflection),
            adapter=dspy.settings.adapter or dspy.JSONAdapter(),
            calls=plan.base.calls,
            seed=plan.config.seed or 0,
            threads=plan.config.max_workers,
            emit=emit,
        ),
    )


def _inputs_of(program: dspy.Module) -> frozenset[str]:
    return frozenset(field for step in program.predictors() for field in step.signature.input_fields)


def _values(examples: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [example.values for example in examples]

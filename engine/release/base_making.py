"""The base of a run, made by another optimizer before anything is learned on top of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy

from engine.ground.errors import BudgetTooSmallError, ConfigError
from engine.ground.model import Messages, Model
from engine.ground.statistics import mean_interval
from engine.journal.events import Emit, Event, PhaseStarted, ProgressEstimated, RolloutFinished
from engine.journal.method_events import BaseCompared, MethodFinished
from engine.journal.replay import Replay
from engine.learning.methods.metering import Meter
from engine.learning.methods.method import MethodTask
from engine.learning.methods.registry import run_method
from engine.learning.progress import Workload
from engine.learning.rollouts import RolloutRunner
from engine.programs.coercion import as_metric
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.project.methods import most_calls
from engine.release.run_plan import RunPlan

_CALLS_BETWEEN_REPORTS = 10


@dataclass(frozen=True)
class Base:
    """The program that rules are learned on, and how many calls it took to make it."""

    program: dspy.Module
    calls: int = 0


def refuse_small_budget(plan: RunPlan) -> None:
    """Refuse a budget of calls of which a base optimizer and the proof may leave nothing to learn with.

    Raises:
        BudgetTooSmallError: it is; nothing was spent yet.
    """
    base, steps = most_calls(plan.base.optimizer, plan.base.calls), _steps(plan)
    if plan.max_calls is None or not base:
        return
    compared, proof = 2 * len(plan.validation) * steps, plan.test_split.rollouts * steps
    if plan.max_calls <= base + compared + proof:
        raise BudgetTooSmallError(
            f"{plan.max_calls} calls may leave nothing to learn with: {plan.base.optimizer} may use {base}, "
            f"comparing its base takes {compared}, and the test split {proof}.",
            hint=f"Give more than {base + compared + proof} with --max-calls, or less with --base-calls.",
        )


def made_base(plan: RunPlan, replay: Replay, emit: Emit) -> Base:
    """Return the program that rules are learned on: the plan's own, or what the base optimizer makes of it.

    Every call goes through the run's replay: a resumed run pays for no call twice and gets the same base.

    Raises:
        ConfigError: the optimizer needs more calls, more data or a package; the hint says which.
        BudgetExhaustedError: its calls ran out before it had a result.
    """
    if plan.base.optimizer is None:
        return Base(plan.program)
    if not plan.validation:
        raise ConfigError(
            f"{plan.base.optimizer} compares candidates on validation examples, and there are none.",
            hint="Set [data] validation in promptgrad.toml.",
        )
    finished: list[MethodFinished] = []

    def heard(event: Event) -> None:
        finished.extend([event] if isinstance(event, MethodFinished) else [])
        emit(event)

    expected = _expected(plan)

    def on_call(used: int) -> None:
        if used % _CALLS_BETWEEN_REPORTS == 0:
            emit(ProgressEstimated(id=f"base/{used}/progress", done=used, expected=expected))

    emit(PhaseStarted(id="base/phase", phase="base", detail=plan.base.optimizer))
    meter = Meter(plan.base.calls, on_call)
    made = run_method(plan.base.optimizer, method_task(plan, replay, plan.base.calls, heard), meter)
    compared = _compare(plan, replay, made, finished[-1], emit)
    return Base(made, meter.used + compared)


def _expected(plan: RunPlan) -> int:
    """Return the calls of the whole run, its base included."""
    steps, validation = _steps(plan), len(plan.validation)
    run = Workload.of(plan.config, validation, len(plan.test), predictors=steps).total(plan.config)
    return most_calls(plan.base.optimizer, plan.base.calls) + 2 * validation * steps + run


def _steps(plan: RunPlan) -> int:
    return max(len(plan.program.predictors()), 1)


def method_task(plan: RunPlan, replay: Replay, calls: int, emit: Emit) -> MethodTask:
    """Return what a method works on: the plan's program, its training and validation examples, its models."""
    lm = replay.lm(plan.models.task)
    same = plan.models.reflection is plan.models.task
    inputs = FrozenProgram(plan.program).inputs or _inputs_of(plan.program)
    return MethodTask(
        program=plan.program,
        train=_values(plan.train),
        validation=_values(plan.validation),
        inputs=frozenset(inputs),
        metric=as_metric(plan.metric),
        lm=lm,
        reflection_lm=lm if same else replay.lm(plan.models.reflection),
        adapter=dspy.settings.adapter or dspy.JSONAdapter(),
        calls=calls,
        seed=plan.config.seed or 0,
        threads=plan.config.max_workers,
        emit=emit,
        fits=partial(_leaves_half, plan.models.reflection),
    )


def _leaves_half(model: Model, messages: Messages) -> bool:
    return model.count_prompt_tokens(messages) <= model.context_length // 2


def _compare(plan: RunPlan, replay: Replay, made: dspy.Module, finished: MethodFinished, emit: Emit) -> int:
    """Emit what the base brings on validation, and return the calls that this took.

    The run's own baseline then costs nothing more.
    """
    (own, of_own), (after, of_made) = (_scores(plan, replay, one, emit) for one in (plan.program, made))
    emit(
        BaseCompared(
            id="base",
            method=finished.method,
            calls=finished.calls,
            own=mean_interval(own),
            made=mean_interval(after),
            demonstrations=sum(finished.demonstrations.values()),
        )
    )
    return of_own + of_made


def _scores(plan: RunPlan, replay: Replay, program: dspy.Module, emit: Emit) -> tuple[list[float], int]:
    def unless_rollout(event: Event) -> None:
        # A rollout is known by what was learned: the two programs, without anything, would be one.
        if not isinstance(event, RolloutFinished):
            emit(event)

    runner = RolloutRunner(
        FrozenProgram(program),
        plan.metric,
        replay.lm(plan.models.task),
        adapter=dspy.settings.adapter or dspy.JSONAdapter(),
        max_workers=plan.config.max_workers,
        seed=plan.config.seed or 0,
        emit=unless_rollout,
    )
    with closing(runner):
        items = runner.items(_values(plan.validation), "validation")
        return [rollout.score.value for rollout in runner.run(LearnedState(), items)], runner.calls


def _inputs_of(program: dspy.Module) -> frozenset[str]:
    return frozenset(field for step in program.predictors() for field in step.signature.input_fields)


def _values(examples: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [example.values for example in examples]

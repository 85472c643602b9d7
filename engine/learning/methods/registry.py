"""The methods by name, and how one is run: metered, silent, and with our own handling of errors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, cast, get_args

import dspy
from tqdm import tqdm

from engine.ground.errors import MetricError
from engine.ground.score import Example, Metric, Score
from engine.journal.method_events import MethodFinished, MethodStarted
from engine.journal.replay import cause_of
from engine.learning.methods.metering import Meter, MeteredLM
from engine.learning.methods.method import Method, MethodTask
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import demonstrations_by_predictor
from engine.project.methods import MethodName

METHODS: tuple[MethodName, ...] = get_args(MethodName)

_HOMES = {
    "labeled_few_shot": "few_shot",
    "knn_few_shot": "few_shot",
    "bootstrap_few_shot": "few_shot",
    "bootstrap_random_search": "few_shot",
    "mipro_v2": "dspy_search",
    "simba": "dspy_search",
    "gepa": "dspy_search",
    "infer_rules": "dspy_search",
    "copro": "dspy_search",
}
"""Files of the methods that aren't named after their file."""

_PRINTING = ("dspy.teleprompt", "dspy.utils.inspect_history", "dspy.propose", "dspy.evaluate")

_ANY_ERRORS = sys.maxsize
"""How many errors DSPy may see in an evaluation: the meter says which of them end a method."""


def run_method(name: MethodName, task: MethodTask, meter: Meter | None = None) -> dspy.Module:
    """Return the program that a method makes from the task's, and emit its events.

    `meter` counts its calls, for a caller who wants to follow them.

    Raises:
        ConfigError: the budget, the data or an extra package aren't enough; the hint says what is needed.
        BudgetExhaustedError: the budget ended it before it had a result.
        PromptGradError: a person stopped the run, or the model failed.
    """
    method = cast(Method, getattr(import_module(f"engine.learning.methods.{_HOMES.get(name, name)}"), name))
    meter = meter or Meter(task.calls)
    lm = MeteredLM.of(task.lm, meter, task.seed)
    reflection = lm if task.reflection_lm is task.lm else MeteredLM.of(task.reflection_lm, meter, task.seed)
    task.emit(MethodStarted(id=f"method/{name}/started", method=name, calls=task.calls))
    with _quiet(), dspy.context(lm=lm, adapter=task.adapter, max_errors=_ANY_ERRORS):
        try:
            program = method(replace(task, lm=lm, reflection_lm=reflection, metric=_watched(task, meter)))
        except Exception as error:
            raise meter.ended or cause_of(error) or error from error
    if meter.ended is not None and not meter.is_used_up:
        # DSPy's classes count an error as a wrong answer, so what they chose after one is meaningless. Once
        # the calls are used up, it is not: a candidate that was cut short is only underrated.
        raise meter.ended
    found = program.deepcopy()
    for step in found.predictors():
        step.lm = None
    task.emit(_finished(name, meter.used, found))
    return found


def _watched(task: MethodTask, meter: Meter) -> Metric:
    """Return the task's metric; a judge that fails in it ends the method, as any other model does."""

    def scored(example: Example, prediction: Any) -> Score:
        try:
            return task.metric(example, prediction)
        except Exception as error:
            cause: BaseException | None = error
            while isinstance(cause, MetricError):
                cause = cause.__cause__
            if cause is not None:
                meter.end(cause)
            raise

    return scored


def _finished(name: MethodName, calls: int, found: dspy.Module) -> MethodFinished:
    """Return the event about what a method made; demonstrations count even if each input meets only some."""
    module = found.base if isinstance(found, ConditionalProgram) else found
    steps = dict(module.named_predictors())
    picked = found.learned.demonstrations if isinstance(found, ConditionalProgram) else ()
    own = demonstrations_by_predictor(picked, list(steps))
    return MethodFinished(
        id=f"method/{name}/finished",
        method=name,
        calls=calls,
        instructions={step: one.signature.instructions for step, one in steps.items()},
        demonstrations={step: len(one.demos) + len(own[step]) for step, one in steps.items()},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep DSPy's logs, prints and progress bars off the terminal: the events say what happens."""
    printing = [part for name, part in sys.modules.items() if name.startswith(_PRINTING)]
    logger = logging.getLogger("dspy")
    level, draw = logger.level, tqdm.__init__
    logger.setLevel(logging.CRITICAL)
    for part in printing:
        vars(part)["print"] = _say_nothing

    def undrawn(bar: tqdm, *given: object, **options: object) -> None:
        draw(bar, *given, **{**options, "disable": True})

    tqdm.__init__ = undrawn
    try:
        yield
    finally:
        tqdm.__init__ = draw
        for part in printing:
            vars(part).pop("print", None)
        logger.setLevel(level)


def _say_nothing(*_words: object, **_options: object) -> None:
    """Take the place of `print` in DSPy's own modules."""

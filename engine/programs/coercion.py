"""Turns any metric, ours or one written for DSPy, into one that always returns a `Score`."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from numbers import Real
from typing import Any

from pydantic import ValidationError

from engine.ground.errors import MetricError, PromptGradError
from engine.ground.examples import example_key, example_name, public_fields
from engine.ground.score import Example, Metric, Score
from engine.programs.user_calls import place_of, raised_at

_TRACES = frozenset({"trace", "pred_name", "pred_trace"})
_HINT = (
    "A metric takes (example, prediction) and returns a Score, a bool, a number in 0..1, "
    "or a dspy.Prediction with score and feedback."
)


class MetricExample(dict[str, Any]):
    """An example as a metric sees it: a dict whose fields can also be read as attributes."""

    def __getattr__(self, field: str) -> Any:
        try:
            return self[field]
        except KeyError:
            raise AttributeError(
                f"the example has no field {field!r}; its fields are {', '.join(self)}"
            ) from None


def as_metric(metric: Callable[..., Any], *, success_from: float = 0.5) -> Metric:
    """Return a metric that calls `metric` and makes a `Score` of what it returns.

    `metric` takes (example, prediction) and optionally a trace, as DSPy's metrics do; here the trace is None.
    It returns a `Score`, a bool, a number in 0..1, or an object with `score` and optionally `feedback`. A
    number of at least `success_from` (0..1) is a success. A metric that this function made is returned as is.

    Raises:
        MetricError: `metric` can't be called like that. The returned metric raises it if `metric` raises or
            returns something other than a score; the message names the example.
    """
    return metric if isinstance(metric, _CoercedMetric) else _CoercedMetric(metric, success_from)


class _CoercedMetric:
    def __init__(self, metric: Callable[..., Any], success_from: float) -> None:
        self._metric = metric
        self._success_from = success_from
        self._name = str(getattr(metric, "__name__", type(metric).__name__))
        self._traces = (None,) * _required_traces(metric, self._name)

    def __call__(self, example: Example, prediction: Any) -> Score:
        try:
            returned = self._metric(MetricExample(example), prediction, *self._traces)
        except MetricError as error:
            problem = f"On the example {_named(example)}: {error.message}"
            raise MetricError(problem, hint=error.hint, example=_key(example), field=error.field) from error
        except PromptGradError:
            raise
        except Exception as error:
            raise MetricError(
                f"The metric {self._name} raised {type(error).__name__} on the example {_named(example)}: "
                f"{_said(error)} ({raised_at(error)}).",
                hint="A metric has to score every prediction, even a wrong or incomplete one.",
                example=_key(example),
                **place_of(error),
            ) from error
        try:
            return _as_score(returned, self._success_from)
        except ValueError as error:
            raise MetricError(
                f"The metric {self._name} returned {error} on the example {_named(example)}.",
                hint=_HINT,
                example=_key(example),
            ) from None


def _required_traces(metric: Callable[..., Any], name: str) -> int:
    """Return how many arguments a metric requires after example and prediction."""
    if not callable(metric):
        raise MetricError(f"The metric is {metric!r}, which can't be called.", hint=_HINT)
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):
        return 0
    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [parameter.name for parameter in positional[2:] if parameter.default is parameter.empty]
    try:
        signature.bind(None, None, *required)
    except TypeError:
        fits = False
    else:
        fits = _TRACES.issuperset(required)
    if not fits:
        raise MetricError(
            f"The metric {name}{signature} can't be called with (example, prediction).", hint=_HINT
        )
    return len(required)


def _as_score(returned: Any, success_from: float) -> Score:
    """Return a score, or raise a `ValueError` that says what was returned instead."""
    if isinstance(returned, Score):
        return returned
    if hasattr(returned, "score"):
        value = _in_range(returned.score)
        feedback, error_type = getattr(returned, "feedback", None), getattr(returned, "error_type", None)
        return Score(value, value >= success_from, str(feedback or ""), str(error_type or ""))
    value = _in_range(returned)
    return Score(value, value >= success_from)


def _in_range(value: Any) -> float:
    plain = value.item() if hasattr(value, "item") and callable(value.item) else value
    if not isinstance(plain, Real):
        shown = " ".join(reprlib.repr(plain).split())
        raise ValueError(f"{shown} ({type(plain).__name__}), which isn't a score,")
    number = float(plain)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{number}, which is not in 0..1,")
    return number


def _named(example: Example) -> str:
    return example_name(example, _key(example))


def _key(example: Example) -> str:
    return example_key(example, public_fields(example))


def _said(error: Exception) -> str:
    """Return an error's message; one line for a `Score` out of range."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))} = {first['input']!r}: {first['msg']}"

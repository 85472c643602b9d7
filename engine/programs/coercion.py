"""From any metric, ours or one written for DSPy, to one that always returns a `Score`."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from pydantic import ValidationError

from engine.ground.errors import MetricError, PromptGradError
from engine.ground.examples import example_key, example_name, public_fields
from engine.ground.score import Example, Score
from engine.programs.steps import Step, steps_called
from engine.programs.user_calls import raised_at

_TRACES = ("trace", "pred_name", "pred_trace")
_HINT = (
    "A metric takes (example, prediction) and returns a Score, a bool, a number in 0..1, "
    "or a dspy.Prediction with score and feedback."
)


class MetricExample(dict[str, Any]):
    """An example as a metric gets it: a dict whose fields can also be read as attributes."""

    def __getattr__(self, field: str) -> Any:
        try:
            return self[field]
        except KeyError:
            raise AttributeError(
                f"the example has no field {field!r}; its fields are {', '.join(self)}"
            ) from None


def as_metric(metric: Callable[..., Any], *, success_from: float = 0.5) -> CoercedMetric:
    """Return a metric that calls `metric` and makes a `Score` of what it returns.

    `metric` takes (example, prediction). One that insists on a `trace`, or takes `pred_name` or `pred_trace`
    as GEPA's metrics do, gets the steps of the rollout. A mere `trace=None` stays None: to DSPy's metrics a
    trace says that demonstrations are bootstrapped, and many are stricter then. It
    returns a `Score`, a bool, a number in 0..1, or an object with `score` and perhaps `feedback`. A number
    counts as success from `success_from` (0..1) on. What this function made already comes back as it is.

    Raises:
        MetricError: `metric` can't be called like that. The returned metric raises it where `metric` raises
            or returns no score; the message names the example.
    """
    return metric if isinstance(metric, CoercedMetric) else CoercedMetric(metric, success_from)


class CoercedMetric:
    """A metric that always returns a `Score`; `steps` are what the program's predictors saw and said."""

    def __init__(self, metric: Callable[..., Any], success_from: float) -> None:
        self._metric = metric
        self._success_from = success_from
        self._name = str(getattr(metric, "__name__", type(metric).__name__))
        self._asked = _asked_traces(metric, self._name)

    def __call__(self, example: Example, prediction: Any, steps: Sequence[Step] | None = None) -> Score:
        """Return the score of a prediction.

        A metric that takes `pred_name` is asked once more for each step of a failed program with several, so
        that its feedback on each step is known: it comes as "steps" in the score's metadata.
        """
        names = list(dict.fromkeys(step.name for step in steps or ()))
        if "pred_name" not in self._asked or steps is None:
            return self._score(example, prediction, steps)
        if len(names) == 1:
            return self._score(example, prediction, steps, names[0])
        score = self._score(example, prediction, steps)
        if score.is_success:
            return score
        of_steps = {name: self._score(example, prediction, steps, name).feedback for name in names}
        told = {name: text for name, text in of_steps.items() if text and text != score.feedback}
        return score.model_copy(update={"metadata": {**score.metadata, "steps": told}}) if told else score

    def _score(
        self, example: Example, prediction: Any, steps: Sequence[Step] | None, name: str | None = None
    ) -> Score:
        known = {
            "trace": None if steps is None else list(steps),
            "pred_name": name,
            "pred_trace": None if steps is None or name is None else steps_called(name, steps),
        }
        positional = [known[asked] for asked, is_keyword in self._asked.items() if not is_keyword]
        by_name = {asked: known[asked] for asked, is_keyword in self._asked.items() if is_keyword}
        try:
            returned = self._metric(MetricExample(example), prediction, *positional, **by_name)
        except MetricError as error:
            problem = f"On the example {_named(example)}: {error.message}"
            raise MetricError(problem, hint=error.hint, example=_key(example)) from error
        except PromptGradError:
            raise
        except Exception as error:
            raise MetricError(
                f"The metric {self._name} raised {type(error).__name__} on the example {_named(example)}: "
                f"{_said(error)} ({raised_at(error)}).",
                hint="A metric has to score every prediction, also a wrong or incomplete one.",
                example=_key(example),
            ) from error
        try:
            return _as_score(returned, self._success_from)
        except ValueError as error:
            raise MetricError(
                f"The metric {self._name} returned {error} on the example {_named(example)}.",
                hint=_HINT,
                example=_key(example),
            ) from None


def _asked_traces(metric: Callable[..., Any], name: str) -> dict[str, bool]:
    """Return which traces a metric asks for, in its order, and whether each is passed by its name."""
    if not callable(metric):
        raise MetricError(f"The metric is {metric!r}, which can't be called.", hint=_HINT)
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):
        return {}
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
        fits = set(_TRACES).issuperset(required)
    if not fits:
        raise MetricError(
            f"The metric {name}{signature} can't be called with (example, prediction).", hint=_HINT
        )
    traces = {
        parameter.name: parameter.kind is not parameter.POSITIONAL_ONLY
        for parameter in signature.parameters.values()
        if parameter.name in _TRACES and parameter not in positional[:2]
    }
    return traces if traces.keys() - {"trace"} or required else {}


def _as_score(returned: Any, success_from: float) -> Score:
    """Return a score, or raise `ValueError` with what was returned instead of one."""
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
        raise ValueError(f"{shown} ({type(plain).__name__}), which is no score,")
    number = float(plain)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{number}, which is not in 0..1,")
    return number


def _named(example: Example) -> str:
    return example_name(example, _key(example))


def _key(example: Example) -> str:
    return example_key(example, public_fields(example))


def _said(error: Exception) -> str:
    """Return an error's message; that of a `Score` out of range in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))} = {first['input']!r}: {first['msg']}"

"""Turns any metric, ours or one written for DSPy, into one that always returns a `Score`."""

from __future__ import annotations

import asyncio
import inspect
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from pydantic import ValidationError

from engine.ground.errors import MetricError, PromptGradError
from engine.ground.examples import example_key, example_name, public_fields
from engine.ground.score import Example, Score
from engine.programs.judge import Judge, judging
from engine.programs.steps import Step, steps_called
from engine.programs.time_limit import TimeLimitError, within
from engine.programs.user_calls import place_of, raised_at

_TRACES = ("trace", "pred_name", "pred_trace")
TIME_LIMIT_SECONDS = 30.0
TIMED_OUT = "metric timed out"
EXITED = "metric exited"
_HINT = (
    "A metric takes (example, prediction) and returns a Score, a bool, a number in 0..1 "
    "([metric] scale = [1, 5] for another range), (score, feedback), or a dict or a "
    "dspy.Prediction with score and feedback."
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


def as_metric(
    metric: Callable[..., Any],
    *,
    success_from: float = 0.5,
    scale: tuple[float, float] | None = None,
    time_limit: float | None = TIME_LIMIT_SECONDS,
    name: str = "",
) -> BoundMetric:
    """Return a metric that calls `metric` and makes a `Score` of what it returns.

    `metric` takes (example, prediction). One that insists on a `trace`, or takes `pred_name` or `pred_trace`
    as GEPA's metrics do, gets the steps of the rollout. A mere `trace=None` stays None: to DSPy's metrics a
    trace says that demonstrations are bootstrapped, and many are stricter then.

    It returns a `Score`, a bool, a number, (number, feedback), or a dict or an object with `score` and
    perhaps `feedback`; it may be an `async def`. Numbers are in 0..1, or within `scale`: its worst and its
    best. They count as success from `success_from` (0..1) on. An answer on which it calls `sys.exit`, or
    takes longer than `time_limit` seconds, is a failure; None sets no limit. What this function made already
    comes back as it is. Tables call it `name`, by default as the function is called.

    Raises:
        MetricError: `metric` can't be called like that. The returned metric raises it if `metric` raises or
            returns something other than a score; the message names the example.
    """
    if isinstance(metric, BoundMetric):
        return metric
    return CoercedMetric(metric, success_from, scale, time_limit, name=name)


class BoundMetric(ABC):
    """A metric that always returns a `Score`, may be bound to a judge, and has a `name` for tables."""

    name: str

    @abstractmethod
    def __call__(self, example: Example, prediction: Any, steps: Sequence[Step] | None = None) -> Score:
        """Return the score of a prediction; `steps` are what the program's predictors saw and said."""

    @abstractmethod
    def untimed(self, example: Example, prediction: Any) -> Score:
        """Return the score of a prediction in this thread, however long it takes."""

    @abstractmethod
    def unanswered(self, example: Example, problem: str, error_type: str) -> Score:
        """Return the score of an example to which there is no answer that could be read."""

    @abstractmethod
    def judged_by(self, judge: Judge, *, is_default: bool = False) -> BoundMetric:
        """Return this metric with a judge for what it asks; a default one doesn't replace another."""


class CoercedMetric(BoundMetric):
    """A metric that always returns a `Score`; `steps` are what the program's predictors saw and said."""

    def __init__(
        self,
        metric: Callable[..., Any],
        success_from: float,
        scale: tuple[float, float] | None,
        time_limit: float | None,
        judge: Judge | None = None,
        name: str = "",
    ) -> None:
        self._metric = metric
        self._judge = judge
        self._success_from = success_from
        self._scale = scale
        self._time_limit = time_limit
        self._function = str(getattr(metric, "__name__", type(metric).__name__))
        self.name = name or self._function
        self._asked = _asked_traces(metric, self._function)

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

    def judged_by(self, judge: Judge, *, is_default: bool = False) -> CoercedMetric:
        """Return this metric with a judge for what it asks; a default one doesn't replace another."""
        if is_default and self._judge is not None:
            return self
        return self._with(self._time_limit, judge)

    def untimed(self, example: Example, prediction: Any) -> Score:
        """Return the score of a prediction in this thread, however long it takes."""
        return self._with(None, self._judge)(example, prediction)

    def unanswered(self, example: Example, problem: str, error_type: str) -> Score:
        """Return the score of an example to which there is no answer that could be read."""
        del example
        return Score(0.0, False, problem, error_type)

    def _with(self, time_limit: float | None, judge: Judge | None) -> CoercedMetric:
        return CoercedMetric(self._metric, self._success_from, self._scale, time_limit, judge, name=self.name)

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
            with judging(self._judge):
                returned = self._called(MetricExample(example), prediction, *positional, **by_name)
        except TimeLimitError:
            return Score(0.0, False, _too_long(self._time_limit), TIMED_OUT)
        except SystemExit as error:
            return Score(0.0, False, f"The metric called sys.exit({error.code!r}).", EXITED)
        except MetricError as error:
            problem = f"On the example {_named(example)}: {error.message}"
            raise MetricError(problem, hint=error.hint, example=_key(example), field=error.field) from error
        except PromptGradError:
            raise
        except Exception as error:
            raise MetricError(
                f"The metric {self._function} raised {type(error).__name__} on the example "
                f"{_named(example)}: {_said(error)} ({raised_at(error)}).",
                hint="A metric has to score every prediction, even a wrong or incomplete one.",
                example=_key(example),
                **place_of(error),
            ) from error
        try:
            return _as_score(returned, self._success_from, self._scale)
        except ValueError as error:
            raise MetricError(
                f"The metric {self._function} returned {error} on the example {_named(example)}.",
                hint=_HINT,
                example=_key(example),
            ) from None

    def _called(self, *given: Any, **by_name: Any) -> Any:
        def call() -> Any:
            returned = self._metric(*given, **by_name)
            return asyncio.run(_awaited(returned)) if inspect.isawaitable(returned) else returned

        return call() if self._time_limit is None else within(self._time_limit, call)


def _too_long(limit: float | None) -> str:
    return "The metric took too long." if limit is None else f"The metric took longer than {limit:g} s."


async def _awaited(returned: Awaitable[Any]) -> Any:
    return await returned


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


def _as_score(returned: Any, success_from: float, scale: tuple[float, float] | None) -> Score:
    """Return a score, or raise `ValueError` with what was returned instead of one."""
    if isinstance(returned, Score):
        return returned
    said: dict[str, Any] = {}
    given = returned
    if isinstance(returned, tuple) and 1 <= len(returned) <= 2:
        given, said["feedback"] = returned[0], returned[-1] if len(returned) == 2 else None
    elif isinstance(returned, Mapping) and "score" in returned:
        said = {str(name): value for name, value in returned.items()}
        given = said.pop("score")
    elif hasattr(returned, "score"):
        given = returned.score
        said = {name: getattr(returned, name, None) for name in ("feedback", "error_type", "metadata")}
    value = _in_range(given, scale)
    feedback, error_type = (str(said.pop(name, None) or "") for name in ("feedback", "error_type"))
    metadata = said.pop("metadata", None)
    if isinstance(metadata, Mapping):
        said.update(metadata)
    return Score(value, value >= success_from, feedback, error_type, said)


def _in_range(value: Any, scale: tuple[float, float] | None) -> float:
    plain = value.item() if hasattr(value, "item") and callable(value.item) else value
    if not isinstance(plain, Real):
        shown = " ".join(reprlib.repr(plain).split())
        raise ValueError(f"{shown} ({type(plain).__name__}), which isn't a score,")
    number = float(plain)
    low, high = (0.0, 1.0) if scale is None or isinstance(plain, bool) else scale
    if not low <= number <= high:
        raise ValueError(f"{number}, which is not in {low:g}..{high:g},")
    return (number - low) / (high - low)


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

"""Every ready-made metric by its name, with the options that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, get_args

from engine.ground.errors import MetricError
from engine.ground.score import Example, Metric, Score
from engine.programs.formatting import as_text
from engine.programs.metrics.choices import choice_score
from engine.programs.metrics.dates import date_score
from engine.programs.metrics.json_values import json_equal_score, json_fields_score
from engine.programs.metrics.numbers import number_score
from engine.programs.metrics.scoring import matched
from engine.programs.metrics.sets import Comparison, any_of_score, set_f1_score, token_f1_score
from engine.programs.metrics.texts import canonical, contains, normalize

MetricKind = Literal[
    "exact_match",
    "normalized_match",
    "contains",
    "regex",
    "number",
    "date",
    "choice",
    "any_of",
    "set_f1",
    "token_f1",
    "json_fields",
    "json_equal",
]
MatchKind = Literal["exact_match", "normalized_match", "contains", "number", "date"]

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "regex": ("pattern",),
    "number": ("tolerance",),
    "date": ("day_first",),
    "choice": ("choices",),
    "any_of": ("match", "tolerance", "day_first"),
    "set_f1": ("threshold",),
    "token_f1": ("threshold",),
    "json_fields": ("threshold",),
}
"""The options of each kind that has any."""

_SEARCH_SECONDS = 5.0
_ABSENT = object()


class MetricOptions(TypedDict, total=False):
    """What a kind can be told: see `OPTIONS` for which kind has which.

    `tolerance` is absolute; `threshold` (0..1) is what counts as success; without a `pattern` the example's
    value is one; `match` is how `any_of` compares; `day_first` reads 03/04/2024 as 3 April.
    """

    tolerance: float
    threshold: float
    pattern: str | None
    choices: Sequence[str]
    match: MatchKind
    day_first: bool


def built_in_metric(kind: MetricKind, field: str, **options: Unpack[MetricOptions]) -> Metric:
    """Return the metric called `kind`, which compares the output `field` with the example's value.

    Raises:
        MetricError: there is no such kind, it has no such option, or `pattern` isn't a regular expression.
    """
    compare = comparison(kind, options)

    def metric(example: Example, prediction: Any) -> Score:
        if field not in example:
            raise MetricError(
                f"The metric compares the field {field!r}, which an example doesn't have.",
                hint=f"The example's fields are {', '.join(example)}. Set [metric] field to one of them.",
                field="metric.field",
            )
        predicted = _field(prediction, field)
        if predicted is _ABSENT:
            return Score(0.0, False, f'The answer has no field "{field}".', "missing field")
        return compare(example[field], predicted)

    return metric


def comparison(kind: str, options: MetricOptions) -> Comparison:
    """Return how a kind compares an expected value with an answer's.

    Raises:
        MetricError: as `built_in_metric` does.
    """
    _refuse_unknown(kind, options)
    tolerance, threshold = options.get("tolerance", 0.0), options.get("threshold", 0.5)
    day_first = options.get("day_first", False)
    if kind == "regex":
        return _regex(options.get("pattern"))
    if kind == "any_of":
        match = options.get("match", "normalized_match")
        own = {name: value for name, value in options.items() if name in OPTIONS.get(match, ())}
        single = comparison(match, own)  # type: ignore[arg-type]
        return lambda expected, got: any_of_score(expected, got, single)
    known: Mapping[str, Comparison] = {
        "exact_match": lambda expected, got: matched(expected, got, _is_same(expected, got)),
        "normalized_match": lambda expected, got: matched(
            expected, got, normalize(as_text(expected)) == normalize(as_text(got))
        ),
        "contains": lambda expected, got: matched(
            expected, got, contains(as_text(got), as_text(expected)), "an answer that contains "
        ),
        "number": lambda expected, got: number_score(expected, got, tolerance),
        "date": lambda expected, got: date_score(expected, got, day_first=day_first),
        "choice": lambda expected, got: choice_score(expected, got, options.get("choices", ())),
        "set_f1": lambda expected, got: set_f1_score(expected, got, threshold),
        "token_f1": lambda expected, got: token_f1_score(expected, got, threshold),
        "json_fields": lambda expected, got: json_fields_score(expected, got, threshold),
        "json_equal": json_equal_score,
    }
    return known[kind]


def _refuse_unknown(kind: str, options: MetricOptions) -> None:
    if kind not in get_args(MetricKind):
        raise MetricError(
            f"There is no metric of the kind {kind!r}.",
            hint=f"The kinds are {', '.join(get_args(MetricKind))}.",
        )
    unused = [name for name in options if name not in OPTIONS.get(kind, ())]
    if unused:
        has = f"It has {', '.join(OPTIONS[kind])}." if kind in OPTIONS else "It has no options."
        raise MetricError(f"{', '.join(unused)} has no effect with {kind}.", hint=has)


def _field(prediction: Any, field: str) -> Any:
    """Return a field of a prediction; DSPy's own attributes, such as `items` and `labels`, are none."""
    if not hasattr(prediction, "__getitem__"):
        return getattr(prediction, field, _ABSENT)
    try:
        return prediction[field]
    except (KeyError, IndexError, TypeError):
        return _ABSENT


def _is_same(expected: Any, got: Any) -> bool:
    plain = got.model_dump(mode="json") if hasattr(got, "model_dump") else got
    return bool(expected == plain) or canonical(as_text(expected)) == canonical(as_text(plain))


def _regex(pattern: str | None) -> Comparison:
    fixed = _compiled(pattern) if pattern is not None else None

    def compare(expected: Any, got: Any) -> Score:
        wanted = fixed or _compiled(as_text(expected))
        try:
            if wanted.search(as_text(got), timeout=_SEARCH_SECONDS):
                return Score(1.0, True)
        except TimeoutError:
            feedback = f"The search for /{wanted.pattern}/ took longer than {_SEARCH_SECONDS:g} s."
            return Score(0.0, False, feedback, "search timed out")
        return Score(0.0, False, f'Expected a match of /{wanted.pattern}/ in "{as_text(got)}".', "no match")

    return compare


def _compiled(pattern: str) -> Any:
    """Return a pattern whose search can be given a time limit, which Python's own can't."""
    import regex

    try:
        re.compile(pattern)
        return regex.compile(pattern)
    except (re.error, regex.error) as error:
        raise MetricError(
            f"{pattern!r} isn't a regular expression: {error}.",
            hint="Correct [metric] pattern or the example.",
            field="metric.pattern",
        ) from error

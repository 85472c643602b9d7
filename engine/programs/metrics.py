"""Ready-made metrics: each says what was expected and names the kind of failure."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from engine.ground.errors import MetricError
from engine.ground.score import Example, Metric, Score
from engine.programs.formatting import as_text

MetricKind = Literal[
    "exact_match", "normalized_match", "contains", "regex", "number", "token_f1", "json_fields"
]

_LONGEST_LABEL = 40
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(
    r"""(?:(?<![\w.)])[-+])?                                 # a sign, but not the dash of 2020-2021
        (?:\d{1,3}(?:[, _]\d{3})+(?!\d)|\d+|(?<!\d)(?=\.\d))  # 1,234 or 1 234 or 1234, or nothing before .5
        (?:\.\d+)?(?:[eE][-+]?\d+)?""",
    re.VERBOSE,
)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ROUNDING = 1e-12
_ABSENT = object()


def built_in_metric(
    kind: MetricKind,
    field: str,
    *,
    tolerance: float = 0.0,
    threshold: float = 0.5,
    pattern: str | None = None,
) -> Metric:
    """Return the metric called `kind`, which compares the output `field` with the example's value.

    `tolerance` (absolute) belongs to `number`, `threshold` (0..1, what counts as success) to `token_f1`
    and `json_fields`, `pattern` to `regex`; without a pattern the example's value is the pattern.

    Raises:
        MetricError: `pattern` is no regular expression.
    """
    compare = _comparison(kind, tolerance=tolerance, threshold=threshold, pattern=pattern)

    def metric(example: Example, prediction: Any) -> Score:
        if field not in example:
            raise MetricError(
                f"The metric compares the field {field!r}, which an example doesn't have.",
                hint=f"The example's fields are {', '.join(example)}. Set [metric] field to one of them.",
            )
        predicted = _field(prediction, field)
        if predicted is _ABSENT:
            return Score(0.0, False, f'The answer has no field "{field}".', "missing field")
        return compare(example[field], predicted)

    return metric


def _field(prediction: Any, field: str) -> Any:
    """Return a field of a prediction; DSPy's own attributes, such as `items` and `labels`, are none."""
    if not hasattr(prediction, "__getitem__"):
        return getattr(prediction, field, _ABSENT)
    try:
        return prediction[field]
    except (KeyError, IndexError, TypeError):
        return _ABSENT


def _comparison(
    kind: MetricKind, *, tolerance: float, threshold: float, pattern: str | None
) -> Callable[[Any, Any], Score]:
    if kind == "exact_match":
        return lambda expected, got: _match(expected, got, _is_equal(expected, got))
    if kind == "normalized_match":
        return lambda expected, got: _match(
            expected, got, normalize(as_text(expected)) == normalize(as_text(got))
        )
    if kind == "contains":
        return lambda expected, got: _match(
            expected, got, normalize(as_text(expected)) in normalize(as_text(got)), "an answer that contains "
        )
    if kind == "regex":
        return _regex(pattern)
    if kind == "number":
        return lambda expected, got: _number(expected, got, tolerance)
    if kind == "token_f1":
        return lambda expected, got: _token_f1(expected, got, threshold)
    return lambda expected, got: _json_fields(expected, got, threshold)


def normalize(text: str) -> str:
    """Return `text` in lower case without punctuation, articles and extra spaces.

    As SQuAD's script does, except that a text of nothing but articles (the choice "A") or nothing but
    punctuation keeps them: else it would equal the empty answer.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = " ".join(folded.translate(_WITHOUT_PUNCTUATION).split())
    return " ".join(_ARTICLES.sub(" ", bare).split()) or bare or folded.strip()


def _is_equal(expected: Any, got: Any) -> bool:
    plain = got.model_dump(mode="json") if hasattr(got, "model_dump") else got
    return bool(expected == plain) or as_text(expected).strip() == as_text(plain).strip()


def _match(expected: Any, got: Any, is_equal: bool, what: str = "") -> Score:
    if is_equal:
        return Score(1.0, True)
    return Score(
        0.0, False, f'Expected {what}"{as_text(expected)}" but got "{as_text(got)}".', _category(expected)
    )


def _category(expected: Any) -> str:
    label = as_text(expected).strip()
    return f"expected {label}" if len(label) <= _LONGEST_LABEL and "\n" not in label else "mismatch"


def _regex(pattern: str | None) -> Callable[[Any, Any], Score]:
    fixed = _compiled(pattern) if pattern is not None else None

    def compare(expected: Any, got: Any) -> Score:
        wanted = fixed or _compiled(as_text(expected))
        if wanted.search(as_text(got)):
            return Score(1.0, True)
        return Score(0.0, False, f'Expected a match of /{wanted.pattern}/ in "{as_text(got)}".', "no match")

    return compare


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise MetricError(
            f"{pattern!r} is no regular expression: {error}.", hint="Correct [metric] pattern or the example."
        ) from error


def _number(expected: Any, got: Any, tolerance: float) -> Score:
    wanted, found = _last_number(expected), _last_number(got)
    if wanted is None:
        raise MetricError(
            f"{as_text(expected)!r} holds no number.", hint="Correct the example's expected value."
        )
    if found is None:
        feedback = f'Expected the number {wanted:.15g} but got "{as_text(got)}".'
        return Score(0.0, False, feedback, "no number")
    if abs(found - wanted) <= tolerance + _ROUNDING * abs(wanted):
        return Score(1.0, True)
    feedback = f"Expected {wanted:.15g} (within {tolerance:g}) but got {found:.15g}."
    return Score(0.0, False, feedback, "number too high" if found > wanted else "number too low")


def _last_number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # float() refuses an integer of more than 308 digits
    found = _NUMBER.findall(as_text(value).replace("\N{MINUS SIGN}", "-"))
    return float(re.sub(r"[,_ ]", "", found[-1])) if found else None


def _token_f1(expected: Any, got: Any, threshold: float) -> Score:
    wanted, found = normalize(as_text(expected)).split(), normalize(as_text(got)).split()
    shared = sum((Counter(wanted) & Counter(found)).values())
    value = 2 * shared / (len(wanted) + len(found)) if wanted or found else 1.0
    if value >= threshold:
        return Score(value, True)
    missing = list((Counter(wanted) - Counter(found)).elements())
    wrong = f"lacks: {' '.join(missing)}" if missing else f'says more than that: "{as_text(got)}"'
    feedback = f'Expected "{as_text(expected)}"; the answer {wrong}.'
    return Score(value, False, feedback, "no overlap" if not shared else "partial overlap")


def _json_fields(expected: Any, got: Any, threshold: float) -> Score:
    wanted, found = _as_object(expected), _as_object(got)
    if wanted is None:
        raise MetricError(
            f"{as_text(expected)!r} is no JSON object.",
            hint="json_fields compares objects; correct the example.",
        )
    if found is None:
        return Score(0.0, False, f'Expected a JSON object but got "{as_text(got)}".', "no object")
    if not wanted:
        return Score(1.0, True)
    wrong = [key for key, value in wanted.items() if found.get(key) != value]
    value = 1.0 - len(wrong) / len(wanted)
    if value >= threshold and not wrong:
        return Score(value, True)
    details = "; ".join(
        f"{key}: expected {_as_json(wanted[key])} but got {_as_json(found.get(key))}" for key in wrong
    )
    return Score(value, value >= threshold, f"{details}.", f"wrong {wrong[0]}")


def _as_json(value: Any) -> str:
    """Return a value so that the text "3" and the number 3 look different."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _as_object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            return None
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    return dict(value) if isinstance(value, Mapping) else None

"""Several right answers, several labels, and words in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.formatting import as_text
from engine.programs.metrics.json_values import read_json
from engine.programs.metrics.texts import normalize

_SEPARATORS = re.compile(r"[,;|\n\u3001\uff0c\uff1b]|(?:^|\n)\s*[-*\u2022]\s")
Comparison = Callable[[Any, Any], Score]


def any_of_score(expected: Any, got: Any, compare: Comparison) -> Score:
    """Return the best score of an answer against each of several right ones: a list, or a single value.

    Raises:
        MetricError: the list is empty.
    """
    right = _items(expected) if not isinstance(expected, str) else _listed(expected) or [expected]
    if not right:
        raise MetricError("The list of right answers is empty.", hint="Give at least one right answer.")
    best = max((compare(value, got) for value in right), key=lambda score: score.value)
    if best.is_success or len(right) == 1:
        return best
    names = ", ".join(f'"{as_text(value)}"' for value in right)
    feedback = f'Expected one of {names} but got "{as_text(got)}".'
    return best.model_copy(update={"feedback": feedback})


def set_f1_score(expected: Any, got: Any, threshold: float) -> Score:
    """Return the F1 of an answer's labels: a list, or a text with commas, semicolons or line breaks."""
    wanted, found = labels(expected), labels(got)
    shared = wanted.keys() & found.keys()
    value = 2 * len(shared) / (len(wanted) + len(found)) if wanted or found else 1.0
    missing = [text for key, text in wanted.items() if key not in shared]
    extra = [text for key, text in found.items() if key not in shared]
    if not missing and not extra:
        return Score(1.0, True)
    said = [f"it lacks {', '.join(missing)}"] if missing else []
    said += [f"it should not have {', '.join(extra)}"] if extra else []
    kind = f"lacks {missing[0]}" if missing else f"has {extra[0]} too"
    return Score(value, value >= threshold, f"Of the labels, {' and '.join(said)}.", kind)


def labels(value: Any) -> dict[str, str]:
    """Return the labels of a value, each as written, by its normalized form."""
    items = _listed(value) if isinstance(value, str) else _items(value)
    if items is None:
        items = _SEPARATORS.split(as_text(value))
    texts = [as_text(item).strip() for item in items]
    return {normalize(text): text for text in texts if text}


def token_f1_score(expected: Any, got: Any, threshold: float) -> Score:
    """Return the F1 of an answer's words, as SQuAD's script does."""
    wanted, found = normalize(as_text(expected)).split(), normalize(as_text(got)).split()
    shared = sum((Counter(wanted) & Counter(found)).values())
    value = 2 * shared / (len(wanted) + len(found)) if wanted or found else 1.0
    if value >= threshold:
        return Score(value, True)
    missing = list((Counter(wanted) - Counter(found)).elements())
    wrong = f"lacks: {' '.join(missing)}" if missing else f'says more than that: "{as_text(got)}"'
    feedback = f'Expected "{as_text(expected)}"; the answer {wrong}.'
    return Score(value, False, feedback, "no overlap" if not shared else "partial overlap")


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def _listed(text: str) -> list[Any] | None:
    """Return the items of a text that holds a JSON list, or an object with a single list."""
    found = read_json(text)
    if isinstance(found, Mapping) and len(found) == 1:
        found = next(iter(found.values()))
    return found if isinstance(found, list) else None

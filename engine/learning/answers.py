"""The answers that a program may give, if there are only a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from engine.learning.rollouts import Item
from engine.programs.program import FrozenProgram

_MOST_ANSWERS = 24
_FEWEST_EXAMPLES = 2.0
"""Answers count as labels from this mean number of training examples per answer."""


@dataclass(frozen=True)
class AnswerSpace:
    """The output field that is scored, the predictor that makes it, and its possible values.

    `is_closed` says whether these are all the values there are: a `Literal`, or few in the training data.
    """

    predictor: str
    field: str
    values: tuple[Any, ...]
    is_closed: bool

    def expected(self, item: Item) -> Any:
        """Return the expected answer of an example."""
        return item.values.get(self.field)

    def by_value(self, items: Iterable[Item]) -> dict[Any, list[Item]]:
        """Return the examples of each value, in the values' order."""
        groups: dict[Any, list[Item]] = {value: [] for value in self.values}
        for item in items:
            groups.setdefault(self.expected(item), []).append(item)
        return groups


def answer_space(program: FrozenProgram, train: Sequence[Item]) -> AnswerSpace | None:
    """Return the expected answers in the training examples; None if no output field is labelled.

    If several outputs are, the last predictor's last one counts: the others lead to it.
    """
    for name in reversed(program.predictors):
        for field, info in reversed(list(program.signature(name).output_fields.items())):
            labelled = [item for item in train if item.values.get(field) is not None]
            if len(labelled) == len(train):
                return _space(name, field, info.annotation, [item.values[field] for item in train])
    return None


def _space(predictor: str, field: str, annotation: Any, expected: Sequence[Any]) -> AnswerSpace:
    if get_origin(annotation) is Literal:
        return AnswerSpace(predictor, field, get_args(annotation), is_closed=True)
    if not all(isinstance(value, str | int | bool) for value in expected):
        return AnswerSpace(predictor, field, (), is_closed=False)
    counts = Counter(expected)
    few = 2 <= len(counts) <= _MOST_ANSWERS and len(expected) >= _FEWEST_EXAMPLES * len(counts)
    return AnswerSpace(predictor, field, tuple(sorted(counts, key=str)) if few else (), is_closed=few)

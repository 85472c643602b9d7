"""The answers that a program may give, if there are only a few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from engine.ground.examples import Item
from engine.programs.formatting import as_text
from engine.programs.program import FrozenProgram

_MOST_ANSWERS = 24
_MOST_SIGNS = 10
"""Letters or numbers that may be labels; more of them are values of their own."""
_WORD = re.compile(r"[^\W\d_]{2}")
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

    @property
    def is_named(self) -> bool:
        """Whether the answers are names that mean the same everywhere: "fraud", and not "(A)" or "3"."""
        return self.is_closed and all(_WORD.search(as_text(value)) for value in self.values)

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
    """Return the answers that the training examples ask for; None where no output field is labelled.

    Where several outputs are, one with few values comes first, then the last: the others lead to it.
    """
    found = [
        _space(name, field, info.annotation, [item.values[field] for item in train])
        for name in reversed(program.predictors)
        for field, info in reversed(list(program.signature(name).output_fields.items()))
        if train and all(item.values.get(field) is not None for item in train)
    ]
    return next((space for space in found if space.is_closed), found[0] if found else None)


def _space(predictor: str, field: str, annotation: Any, expected: Sequence[Any]) -> AnswerSpace:
    if get_origin(annotation) is Literal:
        return AnswerSpace(predictor, field, get_args(annotation), is_closed=True)
    if not all(isinstance(value, str | int | bool) for value in expected):
        return AnswerSpace(predictor, field, (), is_closed=False)
    counts = Counter(expected)
    most = _MOST_ANSWERS if any(_WORD.search(as_text(value)) for value in counts) else _MOST_SIGNS
    few = 2 <= len(counts) <= most and len(expected) >= _FEWEST_EXAMPLES * len(counts)
    return AnswerSpace(predictor, field, tuple(sorted(counts, key=str)) if few else (), is_closed=few)

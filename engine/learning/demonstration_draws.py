"""Sets of demonstrations drawn from the training examples, under a number and a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from engine.learning.answers import AnswerSpace
from engine.learning.rollouts import Item
from engine.programs.demonstrations import Demonstration, DemonstrationSet

Fits = Callable[[DemonstrationSet], bool]
"""Whether a prompt with these demonstrations leaves room for its answer."""


def labelled(item: Item, space: AnswerSpace, source: str) -> Demonstration:
    """Return a training example with its expected answer as a demonstration."""
    return Demonstration(
        inputs=item.inputs,
        outputs={space.field: space.expected(item)},
        predictor=space.predictor,
        example=item.key,
        source=source,
    )


def balanced_draw(items: Sequence[Item], space: AnswerSpace, n: int, rng: Random) -> list[Item]:
    """Return `n` examples in random order, as many of each answer as of any other in every beginning.

    Open answers make this a plain draw.
    """
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault(space.expected(item) if space.is_closed else None, []).append(item)
    names = list(groups)
    for name in names:
        rng.shuffle(groups[name])
    drawn: list[Item] = []
    while len(drawn) < n and any(groups.values()):
        rng.shuffle(names)
        for name in names:
            if groups[name] and len(drawn) < n:
                drawn.append(groups[name].pop())
    return drawn


def fitting(demonstrations: DemonstrationSet, fits: Fits) -> DemonstrationSet:
    """Return the demonstrations without the last ones for which there is no room."""
    kept = list(demonstrations)
    while kept and not fits(DemonstrationSet(kept)):
        kept.pop()
    return DemonstrationSet(kept)

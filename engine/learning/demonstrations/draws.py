"""Sets of demonstrations drawn from the training examples, limited in number and tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from engine.ground.examples import Item
from engine.learning.answers import AnswerSpace
from engine.programs.demonstrations import Demonstration, DemonstrationSet

Fits = Callable[[DemonstrationSet], bool]
"""Whether a prompt with these demonstrations leaves room for its answer."""


def labelled(item: Item, predictor: str, outputs: Sequence[str], source: str) -> Demonstration:
    """Return a training example with its expected outputs as a demonstration."""
    return Demonstration(
        inputs=item.inputs,
        outputs={name: item.values[name] for name in outputs},
        predictor=predictor,
        example=item.key,
        source=source,
    )


def balanced_draw(items: Sequence[Item], space: AnswerSpace, n: int, rng: Random) -> list[Item]:
    """Return `n` examples in random order, balanced over the answers at every prefix.

    With open answers this is a plain draw.
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
    """Return the demonstrations that fit, dropping the last ones first."""
    kept = list(demonstrations)
    while kept and not fits(DemonstrationSet(kept)):
        kept.pop()
    return DemonstrationSet(kept)

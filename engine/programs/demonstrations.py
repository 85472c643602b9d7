"""Demonstrations: training examples shown in the prompt, the second layer that is learned."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Evidence


class Demonstration(FrozenModel):
    """A training example as one predictor shows it: what it was given, and what it should answer.

    `example` is the key of the training example, `source` says how it was chosen, and `evidence` is the
    result of the test of its set.
    """

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    predictor: str = ""
    example: str = ""
    source: str = ""
    is_bootstrapped: bool = False
    epoch: int = 0
    batch: int = 0
    note: str = ""
    evidence: Evidence | None = Field(default=None)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of its content and predictor."""
        content = json.dumps([self.predictor, self.inputs, self.outputs], ensure_ascii=False, default=str)
        return sha256(content.encode()).hexdigest()[:12]

    @property
    def values(self) -> dict[str, Any]:
        """All its fields, as DSPy keeps a demonstration; `augmented` marks one that the program made."""
        marked = {"augmented": True} if self.is_bootstrapped else {}
        return {**marked, **self.inputs, **self.outputs}


class DemonstrationSet:
    """An immutable, ordered set of demonstrations; two sets with the same content have the same `digest`."""

    __slots__ = ("demonstrations",)

    def __init__(self, demonstrations: Iterable[Demonstration] = ()) -> None:
        unique: dict[str, Demonstration] = {}
        for demonstration in demonstrations:
            unique.setdefault(demonstration.id, demonstration)
        self.demonstrations: tuple[Demonstration, ...] = tuple(unique.values())

    def __iter__(self) -> Iterator[Demonstration]:
        return iter(self.demonstrations)

    def __len__(self) -> int:
        return len(self.demonstrations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemonstrationSet) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"DemonstrationSet({[shown.values for shown in self.demonstrations]!r})"

    @property
    def digest(self) -> str:
        """Content hash: the demonstrations' ids in their order."""
        return sha256(" ".join(shown.id for shown in self.demonstrations).encode()).hexdigest()[:16]

    @property
    def examples(self) -> frozenset[str]:
        """The keys of the training examples that are shown."""
        return frozenset(shown.example for shown in self.demonstrations)

    def adding(self, *demonstrations: Demonstration) -> DemonstrationSet:
        """Return this set with `demonstrations` at its end."""
        return DemonstrationSet((*self.demonstrations, *demonstrations))

    def without_examples(self, keys: Iterable[str]) -> DemonstrationSet:
        """Return this set without the demonstrations of these training examples."""
        gone = frozenset(keys)
        return DemonstrationSet(shown for shown in self.demonstrations if shown.example not in gone)


def demonstrations_by_predictor(
    demonstrations: Iterable[Demonstration], names: Sequence[str]
) -> Mapping[str, list[Demonstration]]:
    """Return each predictor's own demonstrations, in order; a single predictor gets all of them."""
    everything = list(demonstrations)
    if len(names) == 1:
        return {names[0]: everything}
    return {name: [shown for shown in everything if shown.predictor == name] for name in names}

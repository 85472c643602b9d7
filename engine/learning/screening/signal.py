"""The graded evidence that ranks candidates before any is tested, always on training examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from engine.ground.examples import Item
from engine.programs.state import LearnedState

SignalName = Literal["likelihood", "score"]


class Signal(Protocol):
    """The value of a state on examples, one number each; higher is better."""

    @property
    def name(self) -> SignalName:
        """The name of the evidence."""
        ...

    @property
    def asked(self) -> int:
        """How many prompts were scored or answers decoded so far."""
        ...

    def values(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return a state's value on each of the examples."""
        ...

    def covers(self, item: Item) -> bool:
        """Return whether an example is informative."""
        ...

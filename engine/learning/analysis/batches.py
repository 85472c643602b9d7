"""A batch: the rollouts that one gradient looks at, with their place in the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.ground.examples import Item
from engine.learning.place import Place
from engine.learning.rollouts import Rollout


@dataclass(frozen=True)
class Batch:
    """A batch of rollouts with its place in the run."""

    place: Place
    items: Sequence[Item]
    rollouts: Sequence[Rollout]

    def failures(self, threshold: float) -> list[tuple[Item, Rollout]]:
        """Return the examples that scored below `threshold`: the most frequent kind of failure first."""
        failed = [pair for pair in self._pairs() if pair[1].score.value < threshold]
        count = Counter(rollout.score.error_type for _, rollout in failed)
        return sorted(failed, key=lambda pair: (-count[pair[1].score.error_type], pair[1].score.error_type))

    def successes(self, threshold: float) -> list[tuple[Item, Rollout]]:
        """Return the examples that scored `threshold` or more."""
        return [pair for pair in self._pairs() if pair[1].score.value >= threshold]

    def _pairs(self) -> list[tuple[Item, Rollout]]:
        return list(zip(self.items, self.rollouts, strict=True))

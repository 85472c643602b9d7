"""Scores by slice, the value of an example's slice field."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.events import SliceScore, SliceScores


def slice_name(values: Mapping[str, Any], field: str | None) -> str:
    """Return the slice that an example belongs to, as text; empty without a slice field."""
    if field is None or field not in values:
        return ""
    value = values[field]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def by_slice(examples: Sequence[Mapping[str, Any]], field: str | None) -> dict[str, int]:
    """Return how many examples each slice has; empty without a slice field."""
    counts: dict[str, int] = defaultdict(int)
    for values in examples:
        if name := slice_name(values, field):
            counts[name] += 1
    return dict(sorted(counts.items()))


@dataclass(frozen=True)
class ScoredExamples:
    """The examples of a split as one program answered them: score (0..1), right or wrong, and slice.

    All three are in the order of the examples. An example without a slice has an empty name.
    """

    scores: Sequence[float]
    successes: Sequence[bool]
    slices: Sequence[str]

    @property
    def interval(self) -> Interval:
        """The mean score."""
        return mean_interval(self.scores)

    @property
    def by_slice(self) -> dict[str, SliceScore]:
        """The score and the wrong answers of each slice, by its name; empty without slices."""
        return {
            name: SliceScore(
                score=mean_interval([self.scores[place] for place in places]), failures=self._failures(places)
            )
            for name, places in self._places().items()
        }

    def gains_over(self, baseline: ScoredExamples) -> dict[str, SliceScores]:
        """Return the paired gain over a baseline on the same examples, by slice."""
        return {name: self._gain(baseline, places) for name, places in self._places().items()}

    def _gain(self, baseline: ScoredExamples, places: Sequence[int]) -> SliceScores:
        before = [baseline.scores[place] for place in places]
        after = [self.scores[place] for place in places]
        return SliceScores(
            baseline=mean_interval(before),
            optimized=mean_interval(after),
            gain=gain_interval(before, after),
            failures=self._failures(places),
        )

    def _failures(self, places: Sequence[int]) -> int:
        return sum(not self.successes[place] for place in places)

    def _places(self) -> Mapping[str, Sequence[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self.slices):
            if name:
                places[name].append(place)
        return dict(sorted(places.items()))

"""Scores by slice, the value of an example's slice field."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.ground.interval import Interval
from engine.ground.score import MetricScore
from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.event_parts import MetricChange, MetricFigures, SliceScore, SliceScores
from engine.journal.metric_figures import change_of, figures_of


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

    All three are in the order of the examples, as are the scores by each of several `metrics`. An example
    without a slice has an empty name.
    """

    scores: Sequence[float]
    successes: Sequence[bool]
    slices: Sequence[str]
    metrics: Mapping[str, Sequence[MetricScore]] = field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The mean score."""
        return mean_interval(self.scores)

    @property
    def figures(self) -> dict[str, MetricFigures]:
        """The figures of what is optimized and of each metric in it, by their names."""
        return {name: figures_of(scores) for name, scores in self.metrics.items()}

    def changes_from(self, baseline: ScoredExamples) -> dict[str, MetricChange]:
        """Return the figures of each metric before and after, by its name."""
        return self._changes(baseline, range(len(self.scores)))

    @property
    def by_slice(self) -> dict[str, SliceScore]:
        """The score and the wrong answers of each slice, by its name; empty without slices."""
        return {
            name: SliceScore(
                score=mean_interval([self.scores[place] for place in places]),
                failures=self._failures(places),
                metrics={
                    metric: figures_of([scores[place] for place in places])
                    for metric, scores in self._several.items()
                },
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
            metrics=self._changes(baseline, places) if self._several else {},
        )

    @property
    def _several(self) -> Mapping[str, Sequence[MetricScore]]:
        """The metrics, if there are several: a slice's own score says all of one."""
        return self.metrics if len(self.metrics) > 1 else {}

    def _changes(self, baseline: ScoredExamples, places: Sequence[int]) -> dict[str, MetricChange]:
        return {
            name: change_of(
                [baseline.metrics[name][place] for place in places], [scores[place] for place in places]
            )
            for name, scores in self.metrics.items()
            if name in baseline.metrics
        }

    def _failures(self, places: Sequence[int]) -> int:
        return sum(not self.successes[place] for place in places)

    def _places(self) -> Mapping[str, Sequence[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self.slices):
            if name:
                places[name].append(place)
        return dict(sorted(places.items()))

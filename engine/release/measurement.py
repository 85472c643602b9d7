"""A program's results on the sealed test split, example by example: everything a gate looks at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.ground.metric_scores import columns_of
from engine.ground.score import MetricScore
from engine.ground.statistics import gain_interval, percentile
from engine.journal.event_parts import MetricChange, SliceScores
from engine.learning.slices import ScoredExamples


class MeasuredExample(FrozenModel):
    """One example with the scores of the baseline and of the optimized program (0..1).

    `name` is its id, or its key. The other fields are the optimized program's: whether it was right, the
    tokens of its prompts, and `latency`, the seconds that the model took when it had no other request; None
    if that wasn't measured. Examples of other splits are there because a gate names them. The scores by what
    is optimized and by each metric in it are in `baseline_metrics` and `optimized_metrics`.
    """

    key: str
    name: str
    split: Literal["train", "validation", "test"] = "test"
    slice: str = ""
    baseline: float
    optimized: float
    is_success: bool
    is_unparseable: bool = False
    prompt_tokens: int = 0
    latency: float | None = None
    baseline_metrics: dict[str, MetricScore] = Field(default_factory=dict)
    optimized_metrics: dict[str, MetricScore] = Field(default_factory=dict)


class Measurement(FrozenModel):
    """The measured examples, and the figures of those in the test split."""

    examples: tuple[MeasuredExample, ...] = ()

    @property
    def tested(self) -> list[MeasuredExample]:
        """The examples of the test split."""
        return [example for example in self.examples if example.split == "test"]

    @property
    def baseline(self) -> Interval:
        """The baseline's mean score on the test split."""
        return self._before.interval

    @property
    def optimized(self) -> Interval:
        """The optimized program's mean score on the test split."""
        return self._after.interval

    @cached_property
    def gain(self) -> Interval:
        """The mean gain on the test split, from paired scores."""
        return gain_interval(self._before.scores, self._after.scores)

    @cached_property
    def slices(self) -> dict[str, SliceScores]:
        """The scores of each slice, by its value; empty without slices."""
        return self._after.gains_over(self._before)

    @cached_property
    def metrics(self) -> dict[str, MetricChange]:
        """The figures of what is optimized and of each metric in it, before and after, by their names."""
        return self._after.changes_from(self._before)

    @property
    def most_prompt_tokens(self) -> int:
        """The tokens of the longest prompt on the test split."""
        return max(example.prompt_tokens for example in self.tested)

    @property
    def latencies(self) -> list[float]:
        """The model's time for each timed example in seconds, the shortest first."""
        return sorted(example.latency for example in self.tested if example.latency is not None)

    @property
    def mean_latency(self) -> float | None:
        """The model's mean time for an example in seconds; None if no example was timed."""
        latencies = self.latencies
        return sum(latencies) / len(latencies) if latencies else None

    @property
    def p95_latency(self) -> float | None:
        """The time within which 95 % of the timed examples were answered (nearest rank)."""
        return percentile(self.latencies, 0.95)

    @property
    def unparseable_share(self) -> float:
        """The share of answers that could not be read, 0..1."""
        return sum(example.is_unparseable for example in self.tested) / len(self.tested)

    def named(self, name: str) -> list[MeasuredExample]:
        """Return the measured examples with that id or key: splits may use the same ids."""
        return [example for example in self.examples if name in (example.name, example.key)]

    @property
    def _before(self) -> ScoredExamples:
        tested = self.tested
        return self._scored(
            [example.baseline for example in tested], [example.baseline_metrics for example in tested]
        )

    @property
    def _after(self) -> ScoredExamples:
        tested = self.tested
        return self._scored(
            [example.optimized for example in tested], [example.optimized_metrics for example in tested]
        )

    def _scored(self, scores: Sequence[float], metrics: Sequence[dict[str, MetricScore]]) -> ScoredExamples:
        tested = self.tested
        return ScoredExamples(
            scores,
            [example.is_success for example in tested],
            [example.slice for example in tested],
            columns_of(metrics),
        )

"""The figures of each metric over the examples of a split: mean, spread, worst, wrong answers, by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.ground.by_class import balanced_accuracy, macro_f1
from engine.ground.score import MetricScore
from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.event_parts import MetricChange, MetricFigures


def figures_of(scores: Sequence[MetricScore]) -> MetricFigures:
    """Return the figures of one metric; there must be an example."""
    values = [score.value for score in scores]
    expected = [score.expected for score in scores]
    is_by_class = all(expected)
    return MetricFigures(
        score=mean_interval(values),
        std=float(np.std(values)),
        min=min(values),
        failures=sum(not score.is_success for score in scores),
        balanced_accuracy=balanced_accuracy(expected, values) if is_by_class else None,
        macro_f1=macro_f1(expected, [score.answered for score in scores]) if is_by_class else None,
    )


def change_of(before: Sequence[MetricScore], after: Sequence[MetricScore]) -> MetricChange:
    """Return the figures of one metric before and after, on the same examples."""
    return MetricChange(
        baseline=figures_of(before),
        optimized=figures_of(after),
        gain=gain_interval([score.value for score in before], [score.value for score in after]),
    )

"""Scores by each of several metrics, gathered over the repeats of an example and over examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from engine.ground.score import MetricScore, Score


def metrics_of(score: Score, name: str) -> dict[str, MetricScore]:
    """Return a score and its parts: what is optimized, called `name`, and then each metric in it."""
    whole = MetricScore(value=score.value, is_success=score.is_success)
    return {name: whole} | score.metrics


def columns_of(rows: Sequence[Mapping[str, MetricScore]]) -> dict[str, list[MetricScore]]:
    """Return the scores of examples by metric; only metrics by which each of them was scored."""
    names = [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]
    return {name: [row[name] for row in rows] for name in names}


def mean_of(repeats: Sequence[Mapping[str, MetricScore]]) -> dict[str, MetricScore]:
    """Return an example's scores over its repeats: their means, right if each was right."""
    means = {}
    for name, first in repeats[0].items():
        scores = [repeat[name] for repeat in repeats]
        wrong = next((score for score in scores if not score.is_success), first)
        value = fmean(score.value for score in scores)
        means[name] = wrong.model_copy(update={"value": value})
    return means

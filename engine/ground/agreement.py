"""Agreement of two raters beyond chance, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from engine.ground.interval import Interval

_DRAWS = 2000
_SEED = 0
_MOST_CUTS = 50
"""Thresholds that are tried: among hundreds of scores, some are skipped."""


def cohen_kappa(first: Sequence[int], second: Sequence[int], grades: int) -> float:
    """Return Cohen's kappa of two raters' grades, 0 to `grades` - 1, with quadratic weights.

    1 is full agreement, 0 what chance gives, below 0 less than that. For two grades it is the plain kappa
    (Cohen 1968). Where both raters always give the same grade, nothing can be told from chance: that is 0, as
    is a sample of nothing.
    """
    if not first:
        return 0.0
    spread = max(grades - 1, 1)
    n = len(first)
    seen = sum((ours - theirs) ** 2 for ours, theirs in zip(first, second, strict=True)) / n
    ours, theirs = Counter(first), Counter(second)
    chance = sum(ours[one] * theirs[other] * (one - other) ** 2 for one in ours for other in theirs) / (n * n)
    return 1.0 - (seen / spread**2) / (chance / spread**2) if chance else 0.0


def best_threshold(right: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the score from which to call an answer right, so that kappa with `right` is highest.

    It lies midway between two scores that occur, the lowest of equally good ones; 0.5 for no score at all.
    """
    values = sorted(set(scores))
    cuts = [(low + high) / 2 for low, high in pairwise(values)] or values[:1] or [0.5]
    cuts = cuts[:: -(-len(cuts) // _MOST_CUTS)]
    people = list(map(int, right))

    def agreement(cut: float) -> float:
        return cohen_kappa(people, [int(score >= cut) for score in scores], 2)

    return max(cuts, key=agreement)


def fitted_calls(right: Sequence[bool], scores: Sequence[float]) -> list[bool]:
    """Return whether each score is called right by the threshold that fits all the others best."""
    calls = []
    for place, score in enumerate(scores):
        others = [*right[:place], *right[place + 1 :]], [*scores[:place], *scores[place + 1 :]]
        calls.append(score >= best_threshold(*others))
    return calls


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation (-1..1), ties at their mean rank; 0 where one side never varies."""
    if len(first) < 2:
        return 0.0
    ours, theirs = _ranks(first), _ranks(second)
    spread = float(np.std(ours) * np.std(theirs))
    return float(np.mean((ours - ours.mean()) * (theirs - theirs.mean()))) / spread if spread else 0.0


def bootstrap_interval(n: int, statistic: Callable[[Sequence[int]], float]) -> Interval:
    """Return a statistic of `n` examples with its 95 % bootstrap interval; it is given their indexes.

    Percentile bootstrap (Efron 1979): examples are drawn again with replacement.
    """
    everything = list(range(n))
    if n < 2:
        return Interval(score=statistic(everything), n=n, low=-1.0, high=1.0)
    generator = np.random.default_rng(_SEED)
    draws = [statistic(generator.integers(0, n, n).tolist()) for _ in range(_DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(score=statistic(everything), n=n, low=float(low), high=float(high))


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means = ends - (counts - 1) / 2.0
    ranks: np.ndarray[tuple[int], np.dtype[np.float64]] = means[inverse].astype(np.float64)
    return ranks

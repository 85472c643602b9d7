"""Figures of a classification that don't let large classes hide small ones, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from engine.ground.interval import Interval
from engine.ground.statistics import mean_interval

_DRAWS = 2000
_SEED = 0
_TAIL = 0.025

Floats = npt.NDArray[np.float64]


def balanced_accuracy(expected: Sequence[str], scores: Sequence[float]) -> Interval:
    """Return the mean over the expected classes of the mean score (0..1) within each.

    The interval is made from Wilson's interval of each class (MOVER; Zou and Donner 2008, Statistics in
    Medicine 27, 1693): a class that is answered right throughout doesn't look certain.

    Raises:
        ValueError: there is no example.
    """
    classes = [
        mean_interval([score for one, score in zip(expected, scores, strict=True) if one == name])
        for name in sorted(set(expected))
    ]
    if not classes:
        raise ValueError("Balanced accuracy needs at least one example.")
    mean = sum(one.score for one in classes) / len(classes)
    below = sqrt(sum((one.score - one.low) ** 2 for one in classes)) / len(classes)
    above = sqrt(sum((one.high - one.score) ** 2 for one in classes)) / len(classes)
    return Interval(score=mean, n=len(expected), low=max(0.0, mean - below), high=min(1.0, mean + above))


def macro_f1(expected: Sequence[str], answered: Sequence[str]) -> Interval:
    """Return the mean of the F1 of each expected class; an answer that isn't a class lowers recall alone.

    The interval is a percentile bootstrap over examples (Efron 1979). It reaches at least as far as a share u
    of examples that behave otherwise could move it, where u is the largest share of which none would be drawn
    with a probability of 2.5 %: perfect answers to few examples don't look certain.

    Raises:
        ValueError: there is no example.
    """
    n = len(expected)
    if not n:
        raise ValueError("F1 needs at least one example.")
    names = sorted(set(expected))
    wanted = np.array([[one == name for name in names] for one in expected], dtype=np.float64)
    said = np.array([[one == name for name in names] for one in answered], dtype=np.float64)
    score = float(_mean_f1(np.ones((1, n)), wanted, said)[0])
    generator = np.random.default_rng(_SEED)
    draws = generator.multinomial(n, np.full(n, 1 / n), size=_DRAWS).astype(np.float64)
    low, high = np.quantile(_mean_f1(draws, wanted, said), [_TAIL, 1 - _TAIL])
    unseen = 1 - _TAIL ** (1 / n)
    return Interval(
        score=score,
        n=n,
        low=min(float(low), score * (1 - unseen)),
        high=max(float(high), score + (1 - score) * unseen),
    )


def _mean_f1(draws: Floats, wanted: Floats, said: Floats) -> Floats:
    """Return the macro F1 of each draw, a row that says how often it has each example."""
    hits = draws @ (wanted * said)
    both = draws @ (wanted + said)
    is_drawn = both > 0
    scores = np.divide(2 * hits, both, out=np.zeros_like(hits), where=is_drawn)
    means: Floats = scores.sum(axis=1) / np.maximum(is_drawn.sum(axis=1), 1)
    return means

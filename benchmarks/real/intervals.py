"""Intervals of the table: Wilson's for a score, the paired bootstrap for a difference."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

_Z = 1.959964
_DRAWS = 10_000


def wilson(score: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson 1927) of a mean score in 0..1 over `n` examples."""
    centre = (score + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * sqrt(score * (1 - score) / n + _Z * _Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_difference(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean difference over the same examples with its 95 % bootstrap interval (Efron 1979)."""
    deltas = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    draws = np.random.default_rng(0).integers(0, len(deltas), size=(_DRAWS, len(deltas)))
    low, high = np.quantile(deltas[draws].mean(axis=1), [0.025, 0.975])
    return float(deltas.mean()), float(low), float(high)

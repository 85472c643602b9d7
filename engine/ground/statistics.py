"""Intervals for mean scores and for the gain of one change of the rules.

A rule's gain is tested by flipping signs (Fisher 1935, The Design of Experiments, section 21; Pesarin &
Salmaso 2010; Winkler et al. 2014): if the rule does nothing, an example's score with it and without it
could as well be swapped, which turns the sign of its difference. Turning any subset of the signs is
equally likely, so the test needs no distribution, no variance, and no large sample. Inverted, it gives
an interval whose bounds are quantiles of the weighted means of all subsets (Hartigan 1969, "Using
subsample values as typical values", JASA 64). Up to 15 examples all subsets are counted; beyond that
they are drawn with a fixed seed, and the sample itself counts as one of them, so that a p-value is
never 0 and the level holds (Phipson & Smyth 2010).

The guarantee: if the scores with and without the rule are exchangeable in each example, at most 2.5 % of
tests give a lower bound above 0, for every sample size, for 0/1 and graded scores, and for unequal weights.
On 0/1 scores this covers every rule that repairs as often as it breaks in each stratum.

The limit: no test on a small sample can detect a rule that repairs the stratum of its trigger and breaks
examples elsewhere so rarely that none was drawn. If the rest is 9 of 54 examples and 6 of them break, a
third of all tests draw none of those, and the sample looks exactly like that of a good rule: a test that
kept its level here could accept the good rule in only one test of twelve. The same goes for a graded score
that rises a little nearly everywhere and falls far in a few places. `docs/validation.md` has the
figures. Such a rule is caught by the epoch's validation on the whole split, which rolls it back, and by
the release gate on the test split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, fsum, log, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from engine.ground.interval import Interval

Floats = npt.NDArray[np.float64]

_TAIL = 0.025
_ENUMERATED = 15
_DRAWN = 9_999
_REMEMBERED = 300
_LARGEST_PART = 3_000_000  # numbers
_DECIMALS = 12  # sums such as 0.1 - 0.1 must tie with 0


@dataclass(frozen=True)
class Stratum:
    """A part of the examples: its true share of them (0..1), and the differences seen in it (-1..1)."""

    weight: float
    deltas: Sequence[float]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of scores in 0..1 with its interval, which stays inside 0..1.

    Wilson's score interval, with the effective sample size that graded scores have: they vary less than
    0/1 scores of the same mean, and so count for more examples each. The variance is drawn towards that
    of 0/1 scores by the weight of two observations, so that equal scores don't look certain. On 0/1
    scores this is Wilson's interval itself. From n = 15 on it holds the true mean in 91 to 99 % of all
    samples, by simulation; Student's t collapses to a point where all scores are equal.

    Source: Wilson 1927; effective sample sizes: Franco et al. 2019, J. Survey Stat. Methodol. 7(3).

    Raises:
        ValueError: `values` is empty.
    """
    if not values:
        raise ValueError("An interval needs at least one score.")
    n = len(values)
    mean = fsum(values) / n  # the same in every order: equal states must tie
    binary = mean * (1 - mean)
    variance = (n * float(np.var(values)) + 2 * binary) / (n + 2)
    size = n * binary / variance if variance > 0 else n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (mean + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * sqrt(binary / size + z * z / (4 * size * size))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(score=mean, n=n, low=min(low, mean), high=max(high, mean))  # but for rounding, they hold


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that a share of all values (0..1) doesn't exceed; None if there is none.

    This is the nearest-rank method: the result is always one of the values.
    """
    return sorted(values)[ceil(share * len(values)) - 1] if values else None


def gain_interval(baseline: Sequence[float], optimized: Sequence[float], *, comparisons: int = 1) -> Interval:
    """Return the mean gain over paired scores of the same examples, with its 95 % interval (-1..1).

    With several `comparisons`, the intervals of so many gains hold together with 95 % (Bonferroni).
    """
    deltas = [after - before for before, after in zip(baseline, optimized, strict=True)]
    gain, low, high = paired_interval([Stratum(1.0, deltas)], comparisons=comparisons)
    return Interval(score=gain, n=len(deltas), low=low, high=high)


def paired_interval(strata: Sequence[Stratum], *, comparisons: int = 1) -> tuple[float, float, float]:
    """Return the overall gain as (delta, low, high), with a 95 % interval, from a stratified sample.

    `delta` is the mean of each stratum's differences, weighted by the stratum's true share: unbiased
    whatever the shares of the sample are. `low > 0` if and only if the one-sided sign-flip test of "no
    effect" rejects at 2.5 %; no fewer than six examples can do that.

    A sample also hides what is rare. Up to a share u of all examples may behave otherwise without one
    of them being drawn (Clopper & Pearson 1934; 3.7/n for one stratum). So the interval reaches at least
    u to both sides of `delta`; a bound that excludes 0 is drawn towards 0 by the share u instead.

    With several `comparisons`, each interval is so much wider that all of them hold together with 95 %,
    however they depend on each other: Bonferroni's share of the error for each.

    Raises:
        ValueError: there is no stratum, one is empty, or the weights don't sum to 1.
    """
    if not strata or any(not stratum.deltas for stratum in strata):
        raise ValueError("A paired test needs at least one difference in each stratum.")
    if abs(sum(stratum.weight for stratum in strata) - 1) > 1e-9:
        raise ValueError("The weights of the strata must sum to 1.")
    deltas = np.concatenate([np.asarray(stratum.deltas, dtype=np.float64) for stratum in strata])
    weights = np.concatenate(
        [np.full(len(stratum.deltas), stratum.weight / len(stratum.deltas)) for stratum in strata]
    )
    delta = float(np.round(weights @ deltas, _DECIMALS)) + 0.0  # never -0.0
    tail = _TAIL / comparisons
    low, high = _flip_bounds(deltas, weights, tail)
    unseen = _unseen_share(strata, tail)
    low = low * (1 - unseen) if low > 0 else min(low, delta - unseen)
    high = high * (1 - unseen) if high < 0 else max(high, delta + unseen)
    return delta, max(-1.0, low), min(1.0, high)


def _flip_bounds(deltas: Floats, weights: Floats, tail: float) -> tuple[float, float]:
    """Bounds of the effects that the sign-flip test doesn't reject, a share `tail` on each side.

    An effect t is rejected from below if few subsets of the examples have a weighted mean <= t; the
    empty subset, no sign turned, always counts.
    """
    parts = []
    for subsets in _subsets(len(deltas)):
        sums = np.round(subsets @ (weights * deltas), _DECIMALS)
        parts.append(sums / (subsets @ weights))
    means = np.concatenate(parts)
    rank = int(tail * (len(means) + 1) + 1e-9)
    if rank == 0:
        return -1.0, 1.0
    means.partition((rank - 1, len(means) - rank))
    return float(means[rank - 1]), float(means[len(means) - rank])


def _subsets(n: int) -> Iterator[Floats]:
    """Non-empty subsets of n examples as rows of 0 and 1, in parts that fit into memory."""
    if n <= _REMEMBERED:
        yield _remembered_subsets(n)
        return
    generator = np.random.default_rng(n)
    rows = max(1, _LARGEST_PART // n)
    for first in range(0, _DRAWN, rows):
        yield _draw(generator, min(rows, _DRAWN - first), n)


@lru_cache(maxsize=8)
def _remembered_subsets(n: int) -> Floats:
    """All subsets, or a fixed random draw of them."""
    if n <= _ENUMERATED:
        numbers = np.arange(1, 2**n, dtype=np.int64)
        return (numbers[:, None] >> np.arange(n) & 1).astype(np.float64)
    return _draw(np.random.default_rng(n), _DRAWN, n)


def _draw(generator: np.random.Generator, rows: int, n: int) -> Floats:
    draws = generator.integers(0, 2, size=(rows, n)).astype(np.float64)
    draws[~draws.any(axis=1), 0] = 1.0
    return draws


def _unseen_share(strata: Sequence[Stratum], tail: float) -> float:
    """Largest share of all examples that would have stayed unseen with a probability of `tail`.

    Maximises sum(W p) over shares p of the strata under prod((1 - p) ** n) = tail: where p > 0, 1 - p is
    proportional to n / W.
    """
    thinnest_first = sorted(
        ((stratum.weight, len(stratum.deltas)) for stratum in strata if stratum.weight > 0),
        key=lambda part: part[1] / part[0],
    )
    chosen = thinnest_first
    while max(seen := _seen_shares(chosen, tail)) > 1:
        chosen = chosen[:-1]
    return sum(weight * (1 - share) for (weight, _), share in zip(chosen, seen, strict=True))


def _seen_shares(parts: Sequence[tuple[float, int]], tail: float) -> list[float]:
    """1 - p of each part (weight, n), as if p > 0 held for all of them."""
    drawn = sum(n for _, n in parts)
    scale = exp((log(tail) - sum(n * log(n / weight) for weight, n in parts)) / drawn)
    return [scale * n / weight for weight, n in parts]

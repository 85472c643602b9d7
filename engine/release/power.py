"""What a test split of n examples can show at all, stated before a run rather than after it."""

from __future__ import annotations

from functools import lru_cache
from math import comb, sqrt
from statistics import NormalDist

from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval

_ENOUGH = 15  # beyond so many examples, further ones that don't change don't matter to the sign-flip test
_POWER = 0.8


def smallest_visible_gain(n: int) -> float | None:
    """Return the smallest gain (0..1) on `n` 0/1 scores that differs from chance, or None if none does.

    That is the share of examples which must be repaired, with none broken, for the 95 % interval of the gain
    to lie above 0.
    """
    repaired = _fewest_repaired(min(n, _ENOUGH))
    return None if repaired is None else repaired / n


def likely_visible_gain(n: int) -> float | None:
    """Return the true gain (0..1) that is detected in four of five samples of `n` 0/1 scores.

    It counts a change that breaks nothing; one that also breaks examples needs a larger gain.
    """
    repaired = _fewest_repaired(min(n, _ENOUGH))
    if repaired is None:
        return None
    low, high = repaired / n / 10, 1.0
    for _ in range(40):
        share = (low + high) / 2
        low, high = (low, share) if _at_least(repaired, n, share) >= _POWER else (share, high)
    return high


def smallest_shown_loss(n: int) -> float:
    """Return the smallest loss (0..1) that `n` examples without any change can rule out at 97.5 %.

    Up to that share of all examples may behave differently without one of them being drawn (Clopper &
    Pearson 1934); a smaller non-inferiority margin can't be shown.
    """
    if n > _ENOUGH:
        return float(1 - 0.025 ** (1 / n))
    return -gain_interval([0.0] * n, [0.0] * n).low


def luck_of_best(openings: int, score: Interval) -> float:
    """Return by how much the best of several scores on one split is too high by luck alone (0..1).

    This is the expected maximum of that many independent results with the score's standard error; for
    results that resemble each other the excess is smaller. Source: Blom 1958, Statistical Estimates and
    Transformed Beta-Variables.
    """
    if openings < 2:
        return 0.0
    deviations = NormalDist().inv_cdf((openings - 0.375) / (openings + 0.25))
    return deviations * sqrt(score.score * (1 - score.score) / score.n)


def opening_text(opening: int, score: Interval) -> str:
    """Return a sentence on how often a test split has been opened and what that does to its score."""
    if opening < 2:
        return "This test split was opened for the first time: its score is that of unseen examples."
    luck = luck_of_best(opening, score)
    if luck < 0.0005:  # all of the examples are right, or none
        return f"This test split has been opened {opening} times; new examples would say more."
    return (
        f"This test split has been opened {opening} times. Whoever keeps the best of {opening} results "
        f"sees a score that is up to about {luck:.3f} too high by luck alone; new examples restore it."
    )


def power_text(n: int) -> str:
    """Return a sentence on what `n` examples of a test split can show."""
    least, likely = smallest_visible_gain(n), likely_visible_gain(n)
    if least is None or likely is None:
        return f"{n} examples can't distinguish any gain from chance; use more."
    return (
        f"{n} examples: a gain below {least:.3f} can't be distinguished from chance; one of {likely:.3f} is "
        "distinguished in 4 of 5 cases."
    )


@lru_cache
def _fewest_repaired(n: int) -> int | None:
    for repaired in range(1, n + 1):
        after = [1.0] * repaired + [0.0] * (n - repaired)
        if gain_interval([0.0] * n, after).low > 0:
            return repaired
    return None


def _at_least(successes: int, n: int, share: float) -> float:
    """The probability of at least so many successes in n draws."""
    return 1 - sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(successes))

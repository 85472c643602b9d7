"""Non-inferiority: whether a program is shown to have lost no more than a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum

from engine.ground.errors import ConfigError
from engine.ground.interval import Interval
from engine.ground.seeds import generator
from engine.ground.statistics import gain_interval
from engine.project.objectives import Objectives
from engine.release.power import smallest_shown_loss

USUAL_MARGIN = 0.02
_ROUNDING = 1e-9
_LOOKS = 5
"""Parts of the examples after which a test looks whether it is lost."""

Ask = Callable[[Sequence[int]], Sequence[float]]
"""Scores a program on the examples with these numbers."""


def margin_for(n: int, wanted: float | None, setting: str, field: str = "") -> float:
    """Return the margin to test by: the wanted one, or 0.02, or the smallest that `n` examples can show.

    Raises:
        ConfigError: the wanted margin is smaller than what `n` examples can show.
    """
    least = smallest_shown_loss(n)
    if wanted is None:
        return max(USUAL_MARGIN, least)
    if wanted < least:
        raise ConfigError(
            f"{setting} = {wanted:g} can't be shown on {n} examples: even if nothing changes in any of them, "
            f"a loss of {least:.3f} can't be ruled out.",
            hint=f"Allow {least:.3f} or more, or use more examples.",
            field=field,
        )
    return wanted


def objectives_margin(objectives: Objectives, n: int) -> float:
    """Return the margin of a run's objectives on `n` validation examples.

    Raises:
        ConfigError: see `margin_for`; a run asks before it spends anything.
    """
    return margin_for(n, objectives.margin, "[objectives] margin", "objectives.margin")


def is_no_worse(gain: Interval, margin: float) -> bool:
    """Whether a paired gain shows (97.5 %) that no more than `margin` was lost."""
    return gain.low >= -margin - _ROUNDING


class NonInferiority:
    """The paired test of one program after another against the same scores.

    Most programs that are tried have lost too much, which a part of the examples shows: a test ends when the
    program couldn't pass even if it got the other examples right. That changes no verdict (curtailment: Lan,
    Simon & Halperin 1982).
    """

    def __init__(self, before: Sequence[float], margin: float) -> None:
        self._before = before
        self._order = list(range(len(before)))
        generator(0, "non-inferiority").shuffle(self._order)
        self.margin = margin
        self.left_out = 0
        """Answers that the tests so far could do without."""

    def gain(self, after: Sequence[float]) -> Interval:
        """Return the paired gain of other scores of the same examples."""
        return gain_interval(self._before, after)

    def holds(self, ask: Ask) -> bool:
        """Return whether a program is shown to have lost no more than the margin."""
        after: dict[int, float] = {}
        size = -(-len(self._order) // _LOOKS)
        for start in range(0, len(self._order), size):
            part = self._order[start : start + size]
            after |= dict(zip(part, ask(part), strict=True))
            if not self._can_hold(after):
                self.left_out += len(self._order) - len(after)
                return False
        return True

    def _can_hold(self, after: dict[int, float]) -> bool:
        """Whether some scores of the examples that weren't asked yet would pass the test."""
        scores = [after.get(number, score) for number, score in enumerate(self._before)]
        if self._is_shown(scores):
            return True
        # A large gain on one example widens the interval, so fewer of them may pass where all don't.
        others = (number for number in self._order if number not in after)
        for number in sorted(others, key=self._before.__getitem__):
            scores[number] = 1.0
            if self._is_shown(scores):
                return True
        return False

    def _is_shown(self, scores: Sequence[float]) -> bool:
        # An interval holds its mean, and takes thousands of times as long to compute.
        mean = (fsum(scores) - fsum(self._before)) / len(scores)
        return mean >= -self.margin - _ROUNDING and is_no_worse(self.gain(scores), self.margin)

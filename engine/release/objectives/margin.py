"""Non-inferiority: whether a program is shown to have lost no more than a margin."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.errors import ConfigError
from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval
from engine.release.power import smallest_shown_loss

USUAL_MARGIN = 0.02
_ROUNDING = 1e-9


def margin_for(n: int, wanted: float | None, setting: str) -> float:
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
        )
    return wanted


def is_no_worse(gain: Interval, margin: float) -> bool:
    """Whether a paired gain shows (97.5 %) that no more than `margin` was lost."""
    return gain.low >= -margin - _ROUNDING


class NonInferiority:
    """The paired test of one program after another against the same scores."""

    def __init__(self, before: Sequence[float], margin: float) -> None:
        self._before = before
        self.margin = margin

    def gain(self, after: Sequence[float]) -> Interval:
        """Return the paired gain of other scores of the same examples."""
        return gain_interval(self._before, after)

    def holds(self, after: Sequence[float]) -> bool:
        """Return whether these scores show that no more than the margin was lost."""
        return is_no_worse(self.gain(after), self.margin)

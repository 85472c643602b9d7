"""Where things are in the report's drawings: scores by epoch, and effects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from engine.journal.events import EpochFinished
from promptgrad_tui.views.scatter import Point


class EpochPlot:
    """The chart of the validation score by epoch: coordinates in pixels."""

    width, height = 720, 280
    left, right = 48, 624
    bottom = 240
    _top = 16

    def __init__(self, epochs: Sequence[EpochFinished]) -> None:
        self._n = len(epochs)

    def x(self, index: int) -> float:
        """Return where an epoch is, counted from 0."""
        return round(self.left + (self.right - self.left) * (index + 0.5) / self._n, 1)

    def y(self, score: float) -> float:
        """Return where a score (0..1) is."""
        return round(self._top + (self.bottom - self._top) * (1 - min(max(score, 0.0), 1.0)), 1)


class ScatterPlot:
    """The chart of scores over a cost: coordinates in pixels."""

    width, height = 720, 300
    left, right = 48, 560
    bottom = 260
    _top = 16

    def __init__(self, points: Sequence[Point]) -> None:
        self.most = max([1.0, *(point.cost for point in points)])

    def x(self, cost: float) -> float:
        """Return where a cost is."""
        return round(self.left + 8 + (self.right - self.left - 16) * cost / self.most, 1)

    def y(self, score: float) -> float:
        """Return where a score (0..1) is."""
        return round(self._top + (self.bottom - self._top) * (1 - min(max(score, 0.0), 1.0)), 1)


class EffectBar:
    """The drawing of an effect with its interval; the text beside it says the same."""

    width, height = 200, 18

    @classmethod
    def x(cls, value: float, scale: float) -> float:
        """Return where a value is on a scale of -`scale`..`scale`."""
        share = (min(max(value, -scale), scale) + scale) / (2 * scale)
        return round(4 + (cls.width - 8) * share, 1)


def reach(bounds: Sequence[float]) -> float:
    """Return a round number that no bound of several effects exceeds: the bars' common scale."""
    largest = max((abs(bound) for bound in bounds), default=0.0)
    return next((step for step in (0.1, 0.2, 0.3, 0.5, 0.75) if largest <= step), 1.0)

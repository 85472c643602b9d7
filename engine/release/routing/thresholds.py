"""From which confidence on the small model's answer stands: thresholds with their score, share and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval, mean_interval
from engine.release.objectives.margin import is_no_worse

_MOST_ROWS = 12


@dataclass(frozen=True)
class Answered:
    """One example: the small model's margin (None: it had none), and both scores."""

    margin: float | None
    small: float
    large: float


@dataclass(frozen=True)
class Seconds:
    """The mean time of each model for an example, asked one at a time."""

    small: float
    large: float


class Threshold(FrozenModel):
    """What happens if answers with a margin of at least `margin` (nats) stand.

    `share` is the part of the examples that the small model answers, `gain` the paired gain over the large
    model alone, and `seconds` the mean time for an example: the small model is always asked.
    """

    margin: float
    share: float
    score: Interval
    gain: Interval
    seconds: float


def thresholds(answered: Sequence[Answered], seconds: Seconds) -> list[Threshold]:
    """Return a table of at most twelve thresholds, from all answers of the small model to its surest ones."""
    margins = sorted({one.margin for one in answered if one.margin is not None})
    if len(margins) > _MOST_ROWS:
        step = (len(margins) - 1) / (_MOST_ROWS - 1)
        margins = [margins[round(number * step)] for number in range(_MOST_ROWS)]
    return [_at(margin, answered, seconds) for margin in margins]


def chosen(table: Sequence[Threshold], loss: float) -> Threshold | None:
    """Return the threshold that asks the large model least, among those shown to lose no more than `loss`.

    They are tested from the smallest share of the small model on, up to the first that isn't shown: each test
    then holds at its full level, however many there are (fixed sequence: Maurer, Hothorn & Lehmacher 1995).
    If even the first isn't, that is None: the large model alone is all that is proved.
    """
    best = None
    for row in sorted(table, key=lambda row: row.share):
        if not is_no_worse(row.gain, loss):
            break
        best = row
    return best


def _at(margin: float, answered: Sequence[Answered], seconds: Seconds) -> Threshold:
    stands = [one.margin is not None and one.margin >= margin for one in answered]
    scores = [one.small if keeps else one.large for one, keeps in zip(answered, stands, strict=True)]
    share = fmean(stands)
    return Threshold(
        margin=margin,
        share=share,
        score=mean_interval(scores),
        gain=gain_interval([one.large for one in answered], scores),
        seconds=seconds.small + (1 - share) * seconds.large,
    )

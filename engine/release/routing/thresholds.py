"""From which confidence on the small model's answer stands: thresholds with their score, share and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval, mean_interval
from engine.release.objectives.margin import is_no_worse

_MOST_ROWS = 12


@dataclass(frozen=True)
class Answered:
    """One example: the small model's margin (None: it had none), both scores, and seconds of each model."""

    margin: float | None
    small: float
    large: float
    small_seconds: float
    large_seconds: float


class Threshold(BaseModel):
    """What happens if answers with a margin of at least `margin` (nats) stand.

    `share` is the part of the examples that the small model answers, `gain` the paired gain over the large
    model alone, and `seconds` the mean time for an example: the small model is always asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float
    share: float
    score: Interval
    gain: Interval
    seconds: float


def thresholds(answered: Sequence[Answered]) -> list[Threshold]:
    """Return a table of at most twelve thresholds, from all answers of the small model to its surest ones."""
    margins = sorted({one.margin for one in answered if one.margin is not None})
    if len(margins) > _MOST_ROWS:
        step = (len(margins) - 1) / (_MOST_ROWS - 1)
        margins = [margins[round(number * step)] for number in range(_MOST_ROWS)]
    return [_at(margin, answered) for margin in margins]


def chosen(table: Sequence[Threshold], loss: float) -> Threshold | None:
    """Return the threshold that asks the large model least and is shown to lose no more than `loss`.

    If none is, that is None: the large model alone is all that is proved.
    """
    good = [row for row in table if is_no_worse(row.gain, loss)]
    return max(good, key=lambda row: row.share, default=None)


def _at(margin: float, answered: Sequence[Answered]) -> Threshold:
    stands = [one.margin is not None and one.margin >= margin for one in answered]
    scores = [one.small if keeps else one.large for one, keeps in zip(answered, stands, strict=True)]
    return Threshold(
        margin=margin,
        share=fmean(stands),
        score=mean_interval(scores),
        gain=gain_interval([one.large for one in answered], scores),
        seconds=fmean(
            one.small_seconds + (0.0 if keeps else one.large_seconds)
            for one, keeps in zip(answered, stands, strict=True)
        ),
    )

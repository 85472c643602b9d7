"""What a run left out of its result so that it costs less."""

from __future__ import annotations

from typing import Literal

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.journal.event_base import BaseEvent


class SetSize(FrozenModel):
    """How large a learned state is; tokens are those of the longest prompt on validation."""

    rules: int
    demonstrations: int
    prompt_tokens: int
    latency_ms: float | None = None


class ObjectivesMet(BaseEvent):
    """The smallest set that was found to be no worse than the best by more than `margin`.

    `gain` is its paired gain over the best, on validation. `is_shown` says whether that shows that no more
    than the margin was lost; a limit that demands more is met even so. `missed` are limits that can't be met.
    `left_out` are the answers that the tests could do without, because the program had lost too much already.
    """

    kind: Literal["objectives"] = "objectives"
    margin: float
    before: SetSize
    after: SetSize
    gain: Interval
    is_shown: bool
    tested: int
    left_out: int = 0
    missed: tuple[str, ...] = ()

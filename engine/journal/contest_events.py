"""What happens in a contest: methods begin at one budget, each lane ends with a program, all are compared."""

from __future__ import annotations

from typing import Literal

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.journal.event_base import BaseEvent, Tokens


class ContestStarted(BaseEvent):
    """The lanes begin, each with at most `calls`; `seconds_per_call` was measured on the baseline."""

    kind: Literal["contest_started"] = "contest_started"
    methods: tuple[str, ...]
    seeds: int
    calls: int
    minutes: float | None = None
    seconds_per_call: float = 0.0


class LaneFinished(BaseEvent):
    """A method has ended with one seed; without a result, `problem` says why.

    `calls` and `tokens` are what it used of its budget, known answers included. `lane` is the run under which
    the journal keeps its events.
    """

    kind: Literal["lane"] = "lane"
    lane: str
    method: str
    number: int
    seed: int
    calls: int
    tokens: Tokens = Tokens()
    validation: Interval | None = None
    rules: int = 0
    demonstrations: int = 0
    problem: str = ""


class Standing(FrozenModel):
    """The place of a method: its scores are means over its seeds, and the best seed's program is saved.

    `gain` is over the project's own program and `behind` over the method in the first place, both on the
    test split; their intervals hold for all comparisons of the contest together. `prompt_tokens` and
    `answer_tokens` are means for one example of validation.
    """

    place: int | None
    method: str
    validation: Interval | None = None
    by_seed: tuple[float, ...] = ()
    test: Interval | None = None
    gain: Interval | None = None
    behind: Interval | None = None
    calls: float = 0.0
    prompt_tokens: float | None = None
    answer_tokens: float | None = None
    rules: int = 0
    demonstrations: int = 0
    artifact: str | None = None
    problem: str = ""


class ContestResult(FrozenModel):
    """What came of a contest: the methods, the best on validation first, and how they were compared."""

    calls: int
    seeds: int
    comparisons: int
    standings: tuple[Standing, ...]

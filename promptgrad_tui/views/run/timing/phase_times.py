"""Where a run's time went: how long it spent on each kind of work, and waiting for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.journal.events import (
    Event,
    PhaseStarted,
    ReviewApplied,
    ReviewAwaited,
    RulesChanged,
    RunContinued,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
)
from engine.journal.learning_events import LabelsDoubted, LayerTested, LayerTestStarted, ScreeningFinished
from promptgrad_tui.views.run.timing.progress import PHASE_WORDS

_LEAST_SHARE = 0.005
"""Of the whole time: what took less has no row."""

_WAITING = "waiting for a person"
_STARTING = "starting, and repeating earlier work"
_RANKING = "ranking candidates"


@dataclass
class PhaseTimes:
    """Seconds by kind of work, in the order in which a run first did it.

    The time between two events belongs to the work that was under way. Nothing is counted while no process
    works on the run.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _work: str | None = None
    _resumes_with: str | None = None
    _phase: str | None = None
    _last_time: float = 0.0

    def apply(self, event: Event) -> None:
        """Count the time until an event, and see what begins or ends with it."""
        if self._work is not None and not isinstance(event, RunStarted | RunResumed):
            # Scorings write no event of their own: the one at their end says what the time was for.
            work = _RANKING if isinstance(event, ScreeningFinished) else self._work
            spent = max(event.time - self._last_time, 0.0)
            self.seconds[work] = self.seconds.get(work, 0.0) + spent
        self._last_time = event.time
        self._see(event)

    def _see(self, event: Event) -> None:
        match event:
            case RunStarted() | RunResumed():
                self._work = _STARTING
            case PhaseStarted():
                self._work = self._phase = PHASE_WORDS.get(event.phase, event.detail)
            case LayerTestStarted() if self._phase != PHASE_WORDS["elimination"]:
                self._work = f"testing {event.layer}"
            case LayerTested():
                self._work = self._phase
            case RunPaused() | ReviewAwaited() if self._work != _WAITING:
                self._resumes_with, self._work = self._work, _WAITING
            case RunContinued() | RulesChanged(reason="reviewed") if self._work == _WAITING:
                self._work = self._resumes_with
            case LabelsDoubted() | RunFinished() | ReviewApplied():
                self._work = None
            case _:
                pass

    def rows(self) -> Sequence[tuple[str, float, float]]:
        """Return (work, seconds, share of the whole time) for each kind of work that took some time."""
        total = sum(self.seconds.values())
        shares = ((work, seconds, seconds / total) for work, seconds in self.seconds.items() if total)
        return [row for row in shares if row[2] >= _LEAST_SHARE]

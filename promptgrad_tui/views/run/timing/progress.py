"""How far a run has got and how long it will take, as measured in this run."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.journal.events import (
    NOT_BEGUN,
    AnalysisFinished,
    Event,
    PhaseStarted,
    ProgressEstimated,
    ReviewAwaited,
    RolloutFinished,
    RulesChanged,
    RunContinued,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    ValidationStarted,
)
from engine.journal.learning_events import LayerTestStarted, QuestionAnswered
from promptgrad_tui.views.figures import count_text, rough_duration_text
from promptgrad_tui.views.run.timing.search_time import SearchTime

_FEWEST_CALLS = 8
_SHORTEST_SECONDS = 2.0
_LONGEST_STEP = 50
"""Calls that a method makes between two reports, at most."""


@dataclass
class Progress:
    """Model calls done and expected, and the time left at the rate measured since the work last began."""

    done: int = 0
    expected: int = 0
    phase: str = "starting"
    is_paused: bool = False
    is_awaiting_review: bool = False
    is_finished: bool = False
    has_seen_a_batch: bool = False
    runs_a_method: bool = False
    _began: float = 0.0
    _worked: float = 0.0
    _last_time: float = 0.0
    _measured_from: tuple[float, int] | None = None
    _search: SearchTime = field(default_factory=SearchTime)

    def apply(self, event: Event) -> None:
        """Take in what an event says about work done and work to come."""
        self._take_time(event)
        self._search.apply(event)
        match event:
            case RunStarted() | RunResumed() | RunContinued():
                self._measure_from(event.time)
                self.is_paused = self.is_finished = False
            case ReviewAwaited():
                self.is_awaiting_review = True
            case RulesChanged(reason="reviewed" | "demonstrated"):
                # The time that a person takes says nothing about speed; demonstrations make prompts longer.
                self._measure_from(event.time)
                self.is_awaiting_review = self.is_awaiting_review and event.reason != "reviewed"
            case RunPaused():
                self.is_paused = True
            case RunFinished():
                self.is_finished = True
            case PhaseStarted() | ValidationStarted() | LayerTestStarted():
                self.phase = phase_text(event)
                self._see_phase(event)
            case ProgressEstimated():
                self._correct(event)
            case RolloutFinished() | AnalysisFinished() | QuestionAnswered():
                # A program that asked no model is counted too: its rollouts are what one waits for.
                calls = len(event.completions) or 1
                self.done += calls
                self._search.calls += calls if self._search.is_going_on else 0
            case _:
                pass
        self.expected = max(self.expected, self.done + (not self.is_finished))

    def _measure_from(self, time: float) -> None:
        self._measured_from = (time, self.done)
        self._search.restart(time)

    def _take_time(self, event: Event) -> None:
        """Count the time between two attempts as work of none."""
        if isinstance(event, RunStarted | RunResumed):
            self._worked += max(self._last_time - self._began, 0.0)
            self._began = event.time
        if not event.id.startswith(NOT_BEGUN):
            self._last_time = event.time

    def _see_phase(self, event: PhaseStarted | ValidationStarted | LayerTestStarted) -> None:
        # Once a batch is through, every kind of work has been measured, analyses and tests too.
        is_next = isinstance(event, PhaseStarted) and event.phase == "rollouts" and event.batch > 1
        is_scoring = isinstance(event, PhaseStarted) and event.phase == "epoch"
        self.has_seen_a_batch = self.has_seen_a_batch or is_next or is_scoring
        if isinstance(event, PhaseStarted):
            # The test split of a contest is scored for each method in turn, which writes no events either.
            is_contest_test = self.runs_a_method and event.phase == "test"
            self.runs_a_method = event.phase in ("lane", "base") or is_contest_test

    def _correct(self, event: ProgressEstimated) -> None:
        # A resumed run repeats its earlier work without events: the rate must not jump because of that. The
        # calls of a method write no events either, but are reported every few.
        step = event.done - self.done
        is_work = self.runs_a_method and 0 < step <= _LONGEST_STEP
        if self._measured_from is not None and not is_work:
            start, done = self._measured_from
            self._measured_from = (start, done + step)
        self.done, self.expected = event.done, event.expected

    def seconds_worked(self, now: float) -> float:
        """Return how long processes have worked on the run, up to `now` where one does."""
        return self._worked + max(now - self._began, 0.0) if self._began else 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether the run waits for a person: it is paused, or rules are to be reviewed."""
        return self.is_paused or self.is_awaiting_review

    @property
    def fraction(self) -> float:
        """The share of the work that is done, 0..1; below 1 until the run has ended."""
        if self.is_finished:
            return 1.0
        return min(self.done / self.expected, 0.99) if self.expected else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Return the time left at the measured rate, or None while too little was measured to say."""
        if self._measured_from is None or self.is_waiting:
            return None
        start, done_before = self._measured_from
        measured = self.done - done_before - self._search.calls
        elapsed = now - start - self._search.seconds(now)
        if measured < _FEWEST_CALLS or elapsed < _SHORTEST_SECONDS:
            return None
        return (self.expected - self.done) * elapsed / measured + self._search.seconds_left(now)

    def time_left_text(self, now: float) -> str:
        """Return the time left in words, or "" where it isn't known; a lower bound until all was measured."""
        left = self.seconds_left(now)
        if left is None:
            return ""
        text = rough_duration_text(left)
        # Screening, analyses and tests come after what was measured before the first of them.
        return f"{text} left" if self.has_seen_a_batch else f"at least {text.removeprefix('about ')} left"


PHASE_WORDS = {
    "base": "making the base",
    "baseline": "scoring the baseline",
    "lane": "running a method",
    "rollouts": "rolling out",
    "proposals": "finding rules",
    "demonstrations": "choosing demonstrations",
    "screening": "choosing demonstrations",
    "gradients": "analysing failures",
    "validation": "testing rules",
    "merging": "merging rules",
    "elimination": "testing what can be left out",
    "epoch": "scoring the epoch",
    "layers": "measuring what each layer brings",
    "test": "scoring the test split",
    "artifact": "saving the artifact",
    "labels": "looking for labels that may be wrong",
}


def phase_text(event: PhaseStarted | ValidationStarted | LayerTestStarted) -> str:
    """Return what a run is doing, in a few words: `epoch 1, batch 2: testing rules`."""
    if isinstance(event, PhaseStarted) and event.phase == "lane":
        return event.detail
    match event:
        case PhaseStarted():
            doing = PHASE_WORDS[event.phase]
        case LayerTestStarted():
            doing = f"testing {_tested(event)}"
        case _:
            doing = "testing a rule"
    place = [f"epoch {event.epoch}"] if event.epoch else []
    place += [f"batch {event.batch}"] if event.batch else []
    return f"{', '.join(place)}: {doing}" if place else doing


def _tested(event: LayerTestStarted) -> str:
    if event.layer == "demonstrations":
        return count_text(len(event.demonstrations), "demonstration")
    return count_text(len(event.rules), "rule")

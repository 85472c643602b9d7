"""The time that is left, at the rate of the work that was done."""

from __future__ import annotations

import pytest

from engine.journal.events import Phase, PhaseStarted, ProgressEstimated, RunContinued
from promptgrad_tui.views.run.timing.progress import Progress


def after(phase: Phase, *reports: tuple[float, int]) -> Progress:
    """Return the progress after reports of (time, calls done) of a hundred, which began at 0 s."""
    progress = Progress()
    progress.apply(RunContinued(id="began", time=0))
    progress.apply(PhaseStarted(id="phase", phase=phase, time=0))
    for time, done in reports:
        progress.apply(ProgressEstimated(id=f"{time}", time=time, done=done, expected=100))
    return progress


def test_the_calls_of_a_method_are_work_though_they_write_no_event_of_their_own() -> None:
    assert after("lane", (10, 10), (20, 20)).seconds_left(20) == pytest.approx(80)
    assert after("base", (10, 10), (20, 20)).seconds_left(20) == pytest.approx(80)


def test_what_a_resumed_run_repeats_is_no_work() -> None:
    assert after("lane", (1, 70), (11, 80)).seconds_left(11) == pytest.approx(20 * 11 / 10)
    assert after("rollouts", (1, 70), (11, 80)).seconds_left(11) is None

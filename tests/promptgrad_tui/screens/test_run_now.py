"""A slow model is no hung program: a clock that ticks, what is being asked, and what a pause waits for."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.events import AnalysisFinished, PhaseStarted, RunContinued, RunPaused
from engine.journal.live_status import ScoringCount, scorings_file
from engine.journal.live_text import LiveText, live_file
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.run.panes.gradients import folded
from promptgrad_tui.views.run.rows import GradientRow
from promptgrad_tui.views.run.status import Status, status_lines
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.toned_lines import plain
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun

_CLOCK = re.compile(r"  (\d+):(\d\d)  ")


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def clock(screen: str) -> int:
    found = _CLOCK.search(screen.splitlines()[1])
    assert found, screen
    return int(found[1]) * 60 + int(found[2])


def test_the_clock_goes_on_while_nothing_comes_in(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        before = clock(await until(pilot, "running"))
        await until_true(pilot, lambda screen: clock(screen) >= before + 3, "the clock")
        # After some seconds it says for which answer it waits, too.
        await until_true(pilot, lambda screen: re.search(r"answer \d+ for \d+:\d\d", screen) is not None)

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_before_the_first_event_no_answer_is_waited_for(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "now: starting")
        assert "answer 1 for" not in screen

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_a_tiny_terminal_shows_the_rows_and_not_what_goes_on(recorded: RecordedRun) -> None:
    recorded.write(count=240)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "running")
        assert "now:" not in screen
        assert re.search(r"1\.1 +\d\.\d{3}", screen), "the first batch"

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, (40, 10))


def test_scoring_is_no_wait_for_an_answer(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        count = ScoringCount(scorings_file(recorded.journal.path, recorded.run))
        for _ in range(12):
            time.sleep(0.26)
            count.add()
            await pilot.pause(0.1)
        screen = await until(pilot, "12 prompts scored")
        assert re.search(r"(answer|prompt) \d+ for", screen) is None, screen
        # Only a scoring that takes long is something to wait for.
        await until(pilot, "prompt 13 for 0:0")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_what_is_written_is_seen_from_every_pane(recorded: RecordedRun) -> None:
    recorded.write(count=240)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        live = LiveText(live_file(recorded.journal.path, recorded.run))
        with live.writing(1, 2, 0) as hear:
            hear('{"analysis": "Tickets about a wedding go to')
            screen = await until(pilot, "a wedding go to\u258c")
            assert "now: epoch 1, batch 2" in screen
            assert re.search(r"[\u2713\u2717]  \d+ of \d+ right", screen)
            assert "\u270e" in next(row for row in screen.splitlines() if "2 Gradients" in row)
            await pilot.press("3")
            await until(pilot, "a wedding go to\u258c")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_a_pause_says_that_it_waits_for_the_answers_that_have_begun(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("space")
        await until(pilot, "\u2016 pausing   after the answers that it has begun")
        recorded.journal.append(recorded.run, RunPaused(id="paused/1", reason="a person paused the run"))
        await until(pilot, "\u2016 paused")
        await pilot.press("space")
        recorded.journal.append(recorded.run, RunContinued(id="continued/1"))
        await until_true(pilot, lambda screen: "\u2016" not in screen, "the run")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)
    assert [command.name for command in recorded.journal.commands(recorded.run)] == ["pause", "continue"]


def test_time_worked_counts_no_pause_between_two_processes(recorded: RecordedRun) -> None:
    story = RunStory()
    events = recorded.events()
    started = next(events).model_copy(update={"time": 1000.0})
    story.apply(1, started)
    story.apply(2, next(events).model_copy(update={"time": 1040.0}))
    assert story.progress.seconds_worked(1050.0) == 50.0
    resumed = {"id": "resumed/2", "attempt": 2, "time": 9000.0}
    from engine.journal.events import RunResumed

    story.apply(3, RunResumed.model_validate(resumed))
    assert story.progress.seconds_worked(9010.0) == 50.0


def test_a_method_of_a_contest_shows_neither_the_baselines_answers_nor_half_a_number(
    recorded: RecordedRun,
) -> None:
    recorded.write(count=60)
    name = "labeled_few_shot, seed 1 of 2"
    recorded.journal.append(recorded.run, PhaseStarted(id="lane/1", phase="lane", detail=name))

    async def script(pilot: Pilot[int]) -> None:
        screen = await until_true(
            pilot, lambda screen: re.search(r"waiting +answer \d+ for 0:", screen) is not None, "the wait"
        )
        head = next(row for row in screen.split("\n") if name[:16] in row)
        assert "answ" not in head
        assert not re.search(r"answers +[\u2713\u2717]", screen), "the baseline's"

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_passes_that_say_the_same_are_one_row() -> None:
    def row(number: int, text: str) -> GradientRow:
        found = AnalysisFinished(
            id=f"a{number}", epoch=1, batch=1, number=number, temperature=0.5, analysis=text
        )
        return GradientRow(1, 1, "analysis", analysis=found)

    rows = folded(
        [GradientRow(1, 1, "batch"), row(0, "same"), row(1, "same"), row(2, "other"), row(3, "same")]
    )
    assert [found.passes for found in rows] == [0, 2, 0, 0]


def test_a_run_on_the_start_page_says_how_far_it_is(recorded: RecordedRun) -> None:
    recorded.write(count=240)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "testing a rule")
        assert re.search(r"running \d+%", screen)
        assert re.search(r"for \d+:\d\d", screen)
        assert seen(pilot)

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, None, script, SMALL)


def test_the_start_page_says_what_a_review_does_and_not_what_the_run_did(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "reviewing")
        assert "%" not in screen
        assert "saving the artifact" not in screen
        recorded.journal.append(recorded.run, PhaseStarted(id="review/1/test", phase="test"))
        await until(pilot, "review: scoring the test split")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, None, script, SMALL)


def test_a_process_has_started_with_its_first_event(recorded: RecordedRun) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        session = RunSession(recorded.journal, recorded.journal.run(recorded.run), worker)
        session.is_running = True
        assert session.is_starting
        session.live.apply(1, next(recorded.events()))
        assert not session.is_starting


def test_a_process_that_still_frees_its_model_is_not_starting(recorded: RecordedRun) -> None:
    recorded.write()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        session = RunSession(recorded.journal, recorded.journal.run(recorded.run), worker)
        assert session.is_starting
        session.is_running = True
        assert session.is_starting, "it loads the model"
        session.is_running = False
        assert worker.poll() is None
        assert not session.is_starting, "it has let go of its run"


def test_no_clock_counts_the_time_in_which_no_process_worked(recorded: RecordedRun) -> None:
    story = RunStory.of(list(recorded.events())[:60])
    next_day = story.last_time + 24 * 3600
    status = Status(story, True, next_day, {}, is_starting=True, started_at=next_day)
    text = " ".join(plain(part) for part in status_lines(status, 200))
    assert "calls" in text
    assert re.search(r"\d:\d\d:\d\d", text) is None, text

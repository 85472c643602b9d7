"""How the end of a run is told: of its own, by the death of its process, and while a person is busy."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.events import BatchScored, RunContinued, RunFinished, RunPaused
from engine.journal.journal import Journal
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.live.worker_process import worker_log
from promptgrad_tui.screens.run.panes import artifacts
from promptgrad_tui.screens.run.screen import RunScreen
from promptgrad_tui.screens.widgets.dialogs import InputScreen
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.screens.driving import LARGE, drive, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every worker die at once, without a word."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))


def end(recorded: RecordedRun, **summary: object) -> None:
    """Write the end of a run, with another summary than the recorded one."""
    for event in recorded.events():
        if isinstance(event, RunFinished):
            event = event.model_copy(update={"summary": event.summary.model_copy(update=summary)})
        recorded.journal.append(recorded.run, event)


def test_a_resume_that_fails_forgets_neither_the_calls_nor_the_time_before(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk", task="gguf:gone.gguf")
    end(recorded, status="error", reason="The old reason.", calls=639, seconds=48.0)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "The old reason.")
        await pilot.press("R")
        await until(pilot, "Resume the run?")
        await pilot.press("R")
        await until_told(pilot, "There is no file")
        await pilot.press("escape")
        screen = await until(pilot, "639 calls")
        assert "48 s" in screen
        assert "every answer was known" not in screen

    drive(recorded.folder, recorded.run, script, LARGE)


@pytest.mark.usefixtures("deadly")
def test_a_resume_whose_process_dies_at_once_is_told_without_what_was_before(recorded: RecordedRun) -> None:
    end(recorded, status="error", reason="The old reason.")
    log = worker_log(recorded.folder, recorded.run)
    log.parent.mkdir(parents=True)
    log.write_text("The last words of the process before.\n")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "The old reason.")
        await pilot.press("R")
        await until(pilot, "Resume the run?")
        await pilot.press("R")
        box = await until_told(pilot, "The worker has died")
        assert "Its process ended without a message." in box
        assert "R Resume the run" in box
        assert "last words of the process before" not in box
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "The worker has died" not in screen, "the end of the box")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_long_run_is_no_lost_one_while_it_is_read(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.write(count=60)
    read, may_read = Journal.events, threading.Event()

    def slowly(journal: Journal, run: str, after: int = 0, *args: object, **options: object) -> object:
        assert not after or may_read.wait(PATIENCE_SECONDS)
        return read(journal, run, after, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("promptgrad_tui.screens.live.feed._MOST_AT_ONCE", 20)
    monkeypatch.setattr(Journal, "events", slowly)

    async def script(pilot: Pilot[int]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, RunScreen)
        await until_true(pilot, lambda _: screen.session.live.last_seq > 0, "the first events")
        shown = await until(pilot, "reading the journal")
        assert "died" not in shown
        assert "R Resume" not in shown
        may_read.set()
        await until(pilot, "running")

    with recorded.journal.lock_run(recorded.run), ExitStack() as stack:
        stack.callback(may_read.set)
        drive(recorded.folder, recorded.run, script)


def test_the_bell_rings_when_a_watched_run_ends_and_not_after_other_work_on_it(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(
        "promptgrad_tui.screens.run.screen.call_for_attention", lambda _app, text: rung.append(text)
    )
    events = recorded.events()
    for event in events:
        recorded.journal.append(recorded.run, event)
        if isinstance(event, BatchScored):
            break

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        for event in events:
            recorded.journal.append(recorded.run, event)
        await until_true(pilot, lambda _: rung == ["PromptGrad: improved: all epochs are done"], "the bell")
        await until(pilot, "x Stop")
        lock.close()
        await until_true(pilot, lambda screen: "x Stop" not in screen, "the end of the process")
        with recorded.journal.lock_run(recorded.run):
            await until(pilot, "x Stop")
        await until_true(pilot, lambda screen: "x Stop" not in screen, "the end of the other work")
        assert len(rung) == 1

    with ExitStack() as lock:
        lock.enter_context(recorded.journal.lock_run(recorded.run))
        drive(recorded.folder, recorded.run, script)


def test_a_box_that_nobody_asked_for_waits_until_a_person_has_typed(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("slash", *"abc")
        lock.close()
        await until(pilot, "The worker has died")
        assert isinstance(pilot.app.screen, InputScreen)
        await pilot.press("R", "escape")
        await until_told(pilot, "R Resume the run")

    with ExitStack() as lock:
        lock.enter_context(recorded.journal.lock_run(recorded.run))
        drive(recorded.folder, recorded.run, script)


def test_a_box_that_closes_does_not_have_the_data_read_again(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.write()
    reads: list[Path] = []
    read = artifacts.read_rows

    def counted(folder: Path) -> list[artifacts.MatrixRow]:
        reads.append(folder)
        return read(folder)

    monkeypatch.setattr(artifacts, "read_rows", counted)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await until_true(pilot, lambda _: len(reads) == 1, "the first look")
        await pilot.press("question_mark", "escape", "slash", "escape")
        assert len(reads) == 1
        await pilot.press("L")
        await until(pilot, "Log of run")
        await pilot.press("escape")
        await until_true(pilot, lambda _: len(reads) == 2, "another look")

    drive(recorded.folder, recorded.run, script)


def test_a_pause_that_was_reached_is_not_under_way_when_somebody_else_continues(
    recorded: RecordedRun,
) -> None:
    recorded.write(count=60)
    with Journal.open(recorded.journal.path, read_only=True) as journal:
        session = RunSession(journal, journal.run(recorded.run))
        session.is_running = True
        session.take(journal.events(recorded.run))
        session.send_command("pause")
        assert session.status().is_pausing
        session.take([(998, RunPaused(id="p", reason="a person")), (999, RunContinued(id="c"))])
        assert not session.status().is_pausing

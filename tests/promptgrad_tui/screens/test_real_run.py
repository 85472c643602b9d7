"""The app with its real worker on the real demo model: watched to its end, killed and resumed, reviewed."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from engine.journal.journal import Journal, journal_path
from models.demo.project import write_demo_project
from promptgrad_tui.screens.run.screen import RunScreen
from tests.promptgrad_tui.screens.driving import LARGE, drive, until, until_true

pytestmark = pytest.mark.slow
ENDS = re.compile("✓ improved|■ no improvement|■ failed its gates")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    write_demo_project(folder, 0)
    file = folder / "promptgrad.toml"
    short = re.sub(r"(?m)^(epochs|batches_per_epoch) = \d+", r"\1 = 1", file.read_text())
    file.write_text(short)
    return folder


def hold(project: Path) -> Path:
    """Let no answer be scored while a file exists, which is returned."""
    held = project / "hold"
    held.touch()
    (project / "metric.py").write_text(
        "import time\nfrom pathlib import Path\n\n\n"
        "def score(example, prediction):\n"
        f"    while Path({str(held)!r}).exists():\n        time.sleep(0.01)\n"
        '    return example["queue"] == prediction.queue\n'
    )
    file = project / "promptgrad.toml"
    kind = re.compile(r'(?m)^kind = "exact_match"\nfield = "queue"$')
    assert kind.search(file.read_text())
    file.write_text(kind.sub('python = "metric.py:score"', file.read_text()))
    return held


async def to_the_end(pilot: Pilot[int]) -> str:
    return await until_true(pilot, lambda screen: ENDS.search(screen) is not None, "the end")


async def compared_with_its_baseline(pilot: Pilot[int]) -> None:
    await pilot.press("c")
    await until(pilot, "without rules")
    await pilot.press("enter")
    await until(pilot, "on 120 examples, better.")
    await pilot.press("f")
    await until(pilot, "[fixed ")
    await until(pilot, "correction. It is")


def test_a_run_is_started_watched_and_left_in_the_journal(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("r", "S")
        await until_true(pilot, lambda screen: "rolled out" in screen or "1.1" in screen, "a batch")
        screen = await to_the_end(pilot)
        assert "passes:" in screen
        assert re.search("accepted|rejected", screen)
        await compared_with_its_baseline(pilot)

    drive(project, None, script, LARGE)
    with Journal.open(journal_path(project), read_only=True) as journal:
        (run,) = journal.runs()
    assert run.summary is not None


def test_a_killed_worker_is_told_and_a_resume_pays_for_nothing_twice(project: Path) -> None:
    held = hold(project)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("r", "S")
        await until_true(pilot, lambda screen: "scoring the baseline" in screen, "the baseline")
        screen = pilot.app.screen
        assert isinstance(screen, RunScreen)
        worker = screen.session.worker
        assert worker is not None
        psutil.Process(worker.pid).kill()
        await until(pilot, "The worker has died")
        held.unlink()
        await pilot.press("R")
        await to_the_end(pilot)

    drive(project, None, script, LARGE)
    with Journal.open(journal_path(project), read_only=True) as journal:
        (run,) = journal.runs()
        assert run.summary is not None
        assert journal.completions_paid(run.id) == run.summary.calls


def test_a_finished_run_is_reviewed_and_saved_as_another_version(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("r", "S")
        await to_the_end(pilot)
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("d", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "1 decision saved")
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "review 1 applied" in screen, "the review")

    drive(project, None, script, LARGE)


def test_an_edit_is_tested_before_anything_is_applied(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("r", "S")
        await to_the_end(pilot)
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("e")
        await until(pilot, "Edit the rule")
        # The rule of a queue that no ticket has: everything that it fixed is wrong again.
        await pilot.press("end", *["backspace"] * 40, *"any of it go to nowhere.", "ctrl+s")
        screen = await until(pilot, "1 edit")
        assert "untested" in screen
        await pilot.press("K", "B")
        await until_true(
            pilot, lambda screen: "1 edit" in screen and "untested" not in screen, "the edit's test"
        )
        screen = await until(pilot, "the edit")
        assert re.search(r"the edit +doesn't count: [+-]\d\.\d{3} \[", screen), screen
        assert "Review 1/" in screen
        assert "not applied yet" in screen
        await pilot.press("B")
        assert "testing" not in await until(pilot, "1 edit"), "it was tested already"

    drive(project, None, script, LARGE)
    with Journal.open(journal_path(project), read_only=True) as journal:
        (run,) = journal.runs()
        assert run.review is None
        assert journal.decisions(run.id) == {}

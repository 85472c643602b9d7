"""Pane 4 of the run's screen lists what `promptgrad route` saved, after the artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.release.manifest import ROUTER
from engine.release.routing.router import load_router
from tests.engine.release.test_routing import saved_router
from tests.promptgrad_tui.screens.driving import LARGE, drive, seen, until
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def test_a_router_is_a_row_with_its_thresholds(recorded: RecordedRun) -> None:
    recorded.write()
    folder = saved_router(recorded.folder, 3.0, "artifacts")
    small = load_router(folder).small

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("4", "z")
        await until(pilot, "answers 60%, the rest large")
        await pilot.press("end", "enter")
        await until(pilot, f"Router desk/{folder.parent.name}/v1")
        shown = seen(pilot)
        assert small.revision in shown
        assert "Thresholds, on validation" in shown
        assert "small answers where its margin is 3.00 or more, large everywhere else." in shown

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_damaged_router_is_a_row_with_its_problem(recorded: RecordedRun) -> None:
    recorded.write()
    file = saved_router(recorded.folder, 3.0, "artifacts") / ROUTER
    file.write_text(file.read_text().replace('"margin": 3.0', '"margin": 0.5', 1))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("4", "z")
        await until(pilot, "\u2717 damag")  # the column is narrow; the details say it in full
        await pilot.press("end", "enter")
        await until(pilot, "was changed after it was saved")

    drive(recorded.folder, recorded.run, script, LARGE)

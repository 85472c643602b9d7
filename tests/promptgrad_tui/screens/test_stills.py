"""Each screen at its smallest usual size and at a large one, as text that a person has looked at."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from promptgrad_tui.screens.widgets.table import RowTable
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, until, until_true
from tests.promptgrad_tui.screens.stills import Stills

# The keys that lead from the run to a screen, and a text that says it is there.
SCREENS: dict[str, tuple[tuple[str, ...], str]] = {
    "run": ((), "improved"),
    "gradients": (("2", "home", "down"), "Said by"),
    "validation": (("3", "home"), "Verdict"),
    "artifacts": (("4", "home"), "measured"),
    "batch": (("1", "home", "enter"), "Batch 1.1"),
    "rollout": (("1", "home", "enter", "enter"), "rollout 1 of"),
    "analysis": (("2", "home", "down", "enter"), "temperature"),
    "rule-test": (("3", "home", "enter"), "Fixed by it"),
    "artifact": (("4", "home", "enter"), "The exact prompt"),
    "transfer": (("4", "end", "enter"), "Measured here, proved there"),
    "slices": (("s",), "Scores and slices"),
    "prompt": (("p",), "Instructions"),
    "log": (("L",), "Log of run"),
    "compare-with": (("1", "c"), "without rules"),
    "compare": (("1", "c", "enter"), "Examples"),
    "keys": (("question_mark",), "Keys that are valid here"),
    "scores": (("5",), "epoch base"),
    # The last one: that its decisions aren't applied is told for a while after it.
    "review": (("v", "a", "d"), "1 drop"),
}
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])


@SIZES
def test_a_run_looks_as_it_should(stills: Stills, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        # When the artifacts come, the cursor goes to the one of this run: not after a key has moved it.
        artifacts = pilot.app.screen.query_one("#artifacts", RowTable)
        await until_true(pilot, lambda _: len(artifacts.rows) > 0, "the artifacts")
        for name, (keys, text) in SCREENS.items():
            await until(pilot, "improved")
            await pilot.press(*keys)
            await until(pilot, text)
            await stills.check(pilot, name)
            while len(pilot.app.screen_stack) > 3:
                await pilot.press("escape")

    drive(stills.folder, stills.run, script, size)


@SIZES
def test_the_start_page_looks_as_it_should(stills: Stills, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await stills.check(pilot, "start")

    drive(stills.folder, None, script, size)


@SIZES
def test_a_projects_settings_look_as_they_should(stills: Stills, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("p")
        await until_true(pilot, lambda screen: "saved" in screen and " calls" in screen, "the estimate")
        await stills.check(pilot, "project")

    drive(stills.folder, None, script, size)

"""The help shows fewer keys with each letter typed."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from tests.promptgrad_tui.screens.driving import LARGE, drive, seen, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


def test_what_is_typed_filters_the_help(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("question_mark")
        await until(pilot, "Type to filter")
        await pilot.press(*"quit")
        screen = await until(pilot, "with: quit")
        assert "Quit; asks first" in screen
        assert "Focus the batches" not in screen
        await pilot.press(*["backspace"] * 4)
        assert "Focus the batches" in await until_true(pilot, lambda screen: "with:" not in screen)
        # A key as it is shown.
        await pilot.press("z")
        screen = await until(pilot, "with: z")
        assert "Show only the focused pane" in screen
        await pilot.press(*"zz")
        await until(pilot, "Nothing here is called 'zzz'.")
        await pilot.press("escape")
        await until(pilot, "Focus the batches")
        await pilot.press("escape")
        assert "Type to filter" not in seen(pilot)

    drive(recorded.folder, recorded.run, script, LARGE)

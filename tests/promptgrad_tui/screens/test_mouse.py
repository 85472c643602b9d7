"""What the mouse does: it selects text to copy, turns the wheel, and chooses rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


def turn_wheel(pilot: Pilot[int], x: int, y: int) -> None:
    wheel = events.MouseScrollDown(None, x, y, 0, 0, 0, False, False, False, screen_x=x, screen_y=y)
    pilot.app.post_message(wheel)


def test_selected_text_is_copied_by_ctrl_c_which_then_leaves_nothing(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "g", "enter")
        await until(pilot, "Test of a rule")
        view = pilot.app.screen.query_one(TextView)
        first = view.text.splitlines()[0]
        begin, end = len(first) - 12, len(first) - 1
        await pilot.mouse_down(view, offset=(begin, 0))
        await pilot.hover(view, offset=(end, 0))
        await pilot.mouse_up(view, offset=(end, 0))
        await pilot.pause()
        selected = pilot.app.screen.get_selected_text()
        assert selected
        assert selected.strip() in first
        assert len(selected.strip()) >= 8
        drawn = list(view.render_line(0))
        marked = {segment.style.bgcolor for segment in drawn if segment.style is not None}
        assert len(marked) == 2, "what is selected has another background"
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == selected
        assert "Test of a rule" in seen(pilot)

    drive(recorded.folder, recorded.run, script, SMALL)


def test_the_wheel_scrolls_tables_and_texts_and_a_click_chooses_a_row(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("2", "g")
        table = next(table for table in pilot.app.screen.query(RowTable) if table.id == "gradients")
        assert table.scroll_y == 0
        for _ in range(3):
            turn_wheel(pilot, 10, 10)
            await pilot.pause()
        assert table.scroll_y > 0
        assert table.cursor == 0, "the wheel looks around; the cursor stays"
        top = round(table.scroll_y)
        await pilot.click(table, offset=(10, 4))
        assert table.cursor == top + 2, "heading, border, and the rows above"
        await pilot.press("g", "enter")
        await until(pilot, "Batch 1.1")
        view = pilot.app.screen.query_one(TextView)
        turn_wheel(pilot, 10, 10)
        await pilot.pause()
        assert view.scroll_y > 0 or view.max_scroll_y == 0

    drive(recorded.folder, recorded.run, script, SMALL)

"""Finding one's way: jumps, sorting, a search that follows what is typed, panes, and colours that stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from promptgrad_tui.screens.widgets.table import RowTable
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


def table(pilot: Pilot[int], name: str) -> RowTable[Any]:
    """Return a table, also while a line to type in lies above its screen."""
    return next(
        found
        for screen in reversed(pilot.app.screen_stack)
        for found in screen.query(f"#{name}").results(RowTable)
    )


def test_a_row_is_reached_by_its_number_or_its_beginning(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "g", "colon")
        await until(pilot, "Go to")
        await pilot.press("4", "enter")
        assert table(pilot, "batches").cursor == 3
        await pilot.press("colon", *"2.3", "enter")
        assert table(pilot, "batches").current.place == (2, 3)
        await pilot.press("colon", *"9.9", "enter")
        await until(pilot, "There is no 9.9 here.")
        assert table(pilot, "batches").current.place == (2, 3)

    drive(recorded.folder, recorded.run, script, SMALL)


def test_a_rule_under_review_is_reached_by_the_number_that_it_shows(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("v")
        await until(pilot, "Review 1/")
        await pilot.press("colon", "3", "enter")
        await until(pilot, "Review 3/")
        await pilot.press("o", "o", "space", "colon", "2", "enter")
        queue = table(pilot, "queue")
        assert queue.row_text(queue.cursor).startswith("2 "), "also in another order"
        await pilot.press("colon", "3", "enter")
        assert queue.row_text(queue.cursor).startswith("*3 "), "also where it is marked"
        await pilot.press("colon", *"99", "enter")
        await until(pilot, "There is no 99 here.")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_a_table_is_sorted_by_a_column_and_back(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "g", "o", "o")
        rows = table(pilot, "batches").rows
        scores = [row.scored.score for row in rows]
        assert scores == sorted(scores)
        assert len(set(scores)) > 1
        assert "Score\u25b4" in seen(pilot)
        await pilot.press("O")
        assert [row.scored.score for row in table(pilot, "batches").rows] == scores[::-1]
        assert "Score\u25be" in await until(pilot, "Score\u25be")
        for _ in range(5):
            await pilot.press("o")
        await until_true(pilot, lambda screen: "\u25b4" not in screen and "\u25be" not in screen)
        places = [row.place for row in table(pilot, "batches").rows]
        assert places == sorted(places)

    drive(recorded.folder, recorded.run, script, SMALL)


def test_a_search_goes_along_with_what_is_typed_and_escape_takes_it_back(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "g", "slash", *"password")
        found = table(pilot, "validation")
        assert "password" in found.row_text(found.cursor)
        await pilot.press("escape")
        assert found.cursor == 0
        await pilot.press("slash", *"password", "enter")
        assert "password" in found.row_text(found.cursor)

    drive(recorded.folder, recorded.run, script, SMALL)


def test_h_and_l_go_through_the_panes(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "l")
        await until(pilot, "\u2500 2 Gradients")
        await pilot.press("l")
        await until(pilot, "\u2500 3 Validation")
        await pilot.press("h", "h")
        await until(pilot, "\u2500 1 Batches")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_the_chosen_colours_are_there_the_next_time(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))

    async def choose(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        assert pilot.app.theme == "promptgrad"
        await pilot.press("T")
        await pilot.press(*"nord", "enter")
        await until_true(pilot, lambda _: pilot.app.theme == "nord", "the theme")

    async def look(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        assert pilot.app.theme == "nord"

    drive(recorded.folder, recorded.run, choose, SMALL)
    drive(recorded.folder, recorded.run, look, SMALL)

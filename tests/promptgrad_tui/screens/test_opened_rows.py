"""Rows that are opened to a text: while new ones come, while the journal can't be read, without colours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.events import BatchScored, ConsensusReached, Event, ValidationStarted
from promptgrad_tui.screens.widgets.table import RowTable
from tests.promptgrad_tui.queue_desk import RULES
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def test_an_opened_row_is_left_by_its_own_neighbours_while_new_rows_come(recorded: RecordedRun) -> None:
    events = recorded.events()

    def write(until: type[Event]) -> None:
        for event in events:
            recorded.journal.append(recorded.run, event)
            if isinstance(event, until):
                return

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1.1")
        await pilot.press("3", "end", "enter")
        await until(pilot, "Write the queue in capitals (1.1).")
        table = next(
            found
            for screen in pilot.app.screen_stack
            for found in screen.query("#validation").results(RowTable)
        )
        write(BatchScored)
        write(ConsensusReached)
        await until_true(pilot, lambda _: len(table.rows) == 4, "the next proposals")
        await pilot.press("K")
        await until(pilot, RULES[0][0])
        await pilot.press("J", "J")
        await until(pilot, RULES[1][0])

    write(ValidationStarted)
    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


@contextmanager
def hidden(journal: Path, table: str) -> Iterator[None]:
    """Keep everybody from reading a table of a journal."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as other:
        other.execute(f"ALTER TABLE {table} RENAME TO hidden")
        yield
        other.execute(f"ALTER TABLE hidden RENAME TO {table}")


def test_what_cannot_be_read_for_a_while_is_told_in_its_place(recorded: RecordedRun) -> None:
    recorded.write()
    path = recorded.journal.path

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        with hidden(path, "events"):
            await pilot.press("1", "home", "enter")
            await until(pilot, "can't be read at")
        await pilot.press("f")
        await until_true(pilot, lambda screen: "can't be read at" not in screen, "the answers")
        with hidden(path, "completions"):
            await pilot.press("enter")
            screen = await until(pilot, "no such table: completions")
            assert "That didn't work" not in screen
            assert "rollout 1 of" in screen
        await pilot.press("J")
        await until(pilot, "Prompt, system")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_without_colours_a_match_in_a_text_is_underlined(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    recorded.write()

    def underlined(pilot: Pilot[int]) -> str:
        strips = pilot.app.screen._compositor.render_strips()
        return "".join(
            segment.text for strip in strips for segment in strip if segment.style and segment.style.underline
        )

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("p")
        await until(pilot, "Instructions")
        assert underlined(pilot) == ""
        await pilot.press("slash", *"password", "enter")
        await until_true(
            pilot, lambda _: "A lost password goes to accounts." in underlined(pilot), "the match"
        )

    drive(recorded.folder, recorded.run, script, LARGE)

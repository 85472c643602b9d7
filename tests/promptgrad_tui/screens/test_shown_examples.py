"""Demonstrations are reviewed like rules, also while the run waits, and tried before they are applied."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.decisions import Decision
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.trying.source import source_of_session
from promptgrad_tui.views.run.story import RunStory
from tests.promptgrad_tui.screens.driving import SMALL, drive, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.screens.shown_examples import write_shown


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def test_a_run_that_waits_for_decisions_on_examples_gets_them(recorded: RecordedRun) -> None:
    recorded.write(count=60)
    shown = write_shown(recorded, 4, asks=True)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "4 demonstrations to review: press v")
        await pilot.press("3")
        screen = await until(pilot, "+ 4 demonstrations: draw 1 o")
        assert "waiting" not in screen, "it waits for a person, and for no answer"
        await pilot.press("v")
        screen = await until(pilot, "Review 1/4")
        assert "\u2500 Demonstrations \u2500" in screen
        assert "\u00ab\u00bb" in screen
        assert "+0.125" in screen
        # Of a long input the beginning is shown; the answer is never cut.
        first = next(row for row in screen.splitlines() if "\u25b8  1" in row)
        assert first.rstrip("\u2502 ").endswith(f"\u2026 \u2192 {shown[0].outputs['queue']}")
        await pilot.press("d", "A")
        await until(pilot, "3 demonstrations undecided")
        await pilot.press("escape", "*", "a")
        await until(pilot, "3 keep \u00b7 1 drop")
        await pilot.press("A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "4 decisions applied")
        written = recorded.journal.decisions(recorded.run)
        choices = [written[f"review/0/{one.id}"]["choice"] for one in shown]
        assert choices == ["drop", "keep", "keep", "keep"]
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "demonstrations to review" not in screen)

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_what_is_tried_shows_the_examples_as_decided(recorded: RecordedRun) -> None:
    recorded.write(count=60)
    first, second, third = write_shown(recorded, 3, asks=False)
    session = RunSession(recorded.journal, recorded.journal.run(recorded.run))
    session.live = RunStory.of(event for _, event in recorded.journal.events(recorded.run))
    assert source_of_session(session).demonstrations == (first, second, third)
    source = source_of_session(session, {second.id: Decision(choice="drop")})
    assert source.demonstrations == (first, third)
    assert source.title.endswith("with your decisions")

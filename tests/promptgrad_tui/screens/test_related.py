"""From a batch to its tests, from a test to its proposal, its batch and the rule in the review, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from promptgrad_tui.screens.review.screen import ReviewScreen
from promptgrad_tui.screens.run.batch_screen import BatchScreen
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


def row_of(screen: str, text: str) -> str:
    return next(row for row in screen.splitlines() if text in row)


def test_what_belongs_together_is_two_keys_away(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "g")
        # From a test to its batch.
        await pilot.press("greater_than_sign")
        screen = await until(pilot, "Go to what belongs to it")
        assert "1  Batch 1.1: " in row_of(screen, "Batch 1.1: ")
        await pilot.press("1")
        await until(pilot, "Batch 1.1   score")
        assert isinstance(pilot.app.screen, BatchScreen)
        # From the batch to its first proposal, and from there to the test of it.
        await pilot.press("greater_than_sign")
        screen = await until(pilot, "Go to what belongs to it")
        proposal = row_of(screen, "Proposal: ")
        said = proposal.split("Proposal: ")[1].strip(" \u2502")
        await pilot.press(proposal.strip(" \u2502").split()[0])
        await until(pilot, "Batch 1.1, proposal")
        await pilot.press("greater_than_sign")
        screen = await until(pilot, "Test, ")
        test = row_of(screen, "Test, ")
        assert said[:30] in test, "the test of that very proposal"
        await pilot.press(test.strip(" \u2502").split()[0])
        await until(pilot, "Test of a rule from batch 1.1")
        # And on to the rule in the review.
        await pilot.press("greater_than_sign")
        screen = await until(pilot, "Review: ")
        await pilot.press(row_of(screen, "Review: ").strip(" \u2502").split()[0])
        await until(pilot, "/5   5 open")
        review = pilot.app.screen
        assert isinstance(review, ReviewScreen)
        assert review._state.current is not None
        assert review._state.current.rule.text.startswith(said[:30])
        await pilot.press("greater_than_sign")
        assert "Test, " in await until(pilot, "Go to what belongs to it")
        await pilot.press("escape")
        assert "/5   5 open" in seen(pilot)

    drive(recorded.folder, recorded.run, script, SMALL)


def test_a_row_to_which_nothing_belongs_says_so(recorded: RecordedRun) -> None:
    unfinished = RecordedRun(recorded.folder.parent / "other")
    unfinished.write(count=75)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1.1")
        await pilot.press("greater_than_sign")
        await pilot.pause()
        told = [notice.message for notice in pilot.app._notifications]
        assert "Nothing else belongs to this row so far." in told

    drive(unfinished.folder, unfinished.run, script, SMALL)

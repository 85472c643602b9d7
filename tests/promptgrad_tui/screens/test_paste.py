"""A paste stays one paste, whatever is in it, and a box of one line takes all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from promptgrad_tui.screens.keys.paste import PasteParser
from tests.promptgrad_tui.screens.driving import drive, until
from tests.promptgrad_tui.screens.recorded import RecordedRun

SENT = "\x1b[200~before \x1b[31m after\x1b[201~"


def read(*pieces: str) -> list[events.Event]:
    parser = PasteParser()
    return [event for piece in pieces for event in parser.feed(piece) if isinstance(event, events.Event)]


@pytest.mark.parametrize("cut", range(6, len(SENT)))
def test_an_escape_in_a_paste_is_a_character_of_it(cut: int) -> None:
    (event,) = read(SENT[:cut], SENT[cut:])
    assert isinstance(event, events.Paste)
    assert event.text == "before \u241b[31m after"


def test_keys_before_and_after_a_paste_are_keys() -> None:
    first, pasted, last = read("a", SENT, "b")
    assert isinstance(first, events.Key)
    assert isinstance(pasted, events.Paste)
    assert isinstance(last, events.Key)
    assert (first.key, last.key) == ("a", "b")


def test_the_lines_of_a_paste_are_joined_by_spaces_where_one_line_is_asked_for(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "slash")
        pilot.app.post_message(events.Paste("lost\r\npassword\n"))
        await pilot.pause()
        assert pilot.app.screen.query_one(Input).value == "lost password"

    drive(recorded.folder, recorded.run, script)

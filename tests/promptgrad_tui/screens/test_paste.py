"""A paste with an escape in it stays one paste, wherever the terminal's answer is cut."""

from __future__ import annotations

import pytest
from textual import events

from promptgrad_tui.screens.keys.paste import PasteParser

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

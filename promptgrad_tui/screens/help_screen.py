"""The help: the keys that are valid now and the words on the screen, fewer with each letter typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.widgets import Static

from promptgrad_tui.screens.keys.actions import Action
from promptgrad_tui.screens.keys.palette import help_lines
from promptgrad_tui.screens.widgets.dialogs import PanelScreen
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.toned_lines import Line, line

_TITLE = "Keys that are valid here"


class HelpScreen(PanelScreen):
    """Shows what can be done here; what is typed filters it."""

    FOOT = "Type to filter   esc  Close"

    def __init__(self, actions: Sequence[Action]) -> None:
        self._actions = actions
        self._typed = ""
        super().__init__(_TITLE, self._lines)

    def _lines(self, columns: int) -> list[Line]:
        found = help_lines(self._actions, columns, self._typed)
        return found or [line(f"Nothing here is called {self._typed!r}.", "dim")]

    def on_key(self, event: events.Key) -> None:
        """Filter by what is typed; escape first takes that away."""
        typed = self._typed
        if event.key == "backspace":
            typed = typed[:-1]
        elif event.key == "escape" and typed:
            typed = ""
        elif event.character is not None and event.is_printable and event.character != "?":
            typed += event.character
        if typed == self._typed and event.key != "backspace":
            return
        event.stop()
        event.prevent_default()
        self._typed = typed
        title = f"{_TITLE}, with: {typed}" if typed else _TITLE
        self.query_one(".box-title", Static).update(title)
        self.query_one(TextView).show(self._make)

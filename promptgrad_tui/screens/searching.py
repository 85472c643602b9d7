"""Searching the focused table or text, and copying from it: on every screen in the same way."""

from __future__ import annotations

from typing import Any

from promptgrad_tui.screens.keys.in_turn import KeysInTurn
from promptgrad_tui.screens.widgets.dialogs import InputScreen
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView


class Searching(KeysInTurn[int]):
    """An app whose tables and texts are searched while a person types."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._searched = ""

    @property
    def _target(self) -> RowTable[Any] | TextView | None:
        focused = self.screen.focused
        if isinstance(focused, RowTable | TextView):
            return focused
        return next(iter(self.screen.query(TextView)), None) or next(iter(self.screen.query(RowTable)), None)

    def action_search(self) -> None:
        """Ask for a text and go to where it is."""
        target = self._target
        if target is None:
            return
        go_back = target.way_back()

        def go_to(text: str) -> None:
            go_back()
            if text:
                target.find(text)

        def searched(text: str | None) -> None:
            if text is None:
                go_back()
                return
            self._searched = text
            go_back()
            if text:
                self._find_in(target, backwards=False)

        # Each key goes to the match, as far as it is typed.
        self.push_screen(InputScreen("Search", self._searched, "text", on_change=go_to), searched)

    def action_jump(self) -> None:
        """Ask for a row or a line, and go there."""
        # Where nothing has the focus, as in a review, rows have numbers and lines have none.
        has_focus = isinstance(self.screen.focused, RowTable | TextView)
        target = self._target if has_focus else next(iter(self.screen.query(RowTable)), self._target)

        def go(text: str | None) -> None:
            if text and target is not None and not target.jump(text.strip()):
                self.notify(f"There is no {text.strip()} here.", severity="warning", markup=False)

        if target is not None:
            self.push_screen(InputScreen("Go to", "", "a row's number, or what it begins with"), go)

    def action_search_next(self) -> None:
        self._find(backwards=False)

    def action_search_previous(self) -> None:
        self._find(backwards=True)

    def _find(self, *, backwards: bool) -> None:
        if (target := self._target) is not None and self._searched:
            self._find_in(target, backwards=backwards)

    def _find_in(self, target: RowTable[Any] | TextView, *, backwards: bool) -> None:
        if not target.find(self._searched, backwards=backwards):
            self.notify(f"Not found: {self._searched}", severity="warning", markup=False)

    def action_copy_row(self) -> None:
        target = self._target
        if isinstance(target, TextView):
            self._copy(target.text)
        elif target is not None and target.current is not None:
            self._copy(target.row_text(target.cursor))

    def _copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"Copied {len(text):,} characters.", timeout=2)

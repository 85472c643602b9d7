"""A box to edit a text of several lines."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from promptgrad_tui.screens.widgets.dialogs import BoxScreen, TypedScreen


class EditScreen(TypedScreen[str], BoxScreen[str]):
    """Asks for a text of several lines; to discard it gives nothing, or None if it `keeps_empty` texts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s,ctrl+j", "save", "Save"),
    ]

    def __init__(self, title: str, text: str, explanation: str = "", *, keeps_empty: bool = False) -> None:
        super().__init__()
        self._keeps_empty = keeps_empty
        self._title = title
        self._text = text
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        with Vertical(classes="box box-large"):
            yield Static(self._title, markup=False, classes="box-title")
            if self._explanation:
                yield Static(self._explanation, markup=False, classes="box-text")
            yield TextArea(self._text, soft_wrap=True)
            yield Static(self.FOOT, markup=False, classes="box-foot")

    def on_mount(self) -> None:
        """Put the cursor at the end of the first line."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor((0, len(area.document.get_line(0))))

    @property
    def is_changed(self) -> bool:
        """Whether the text differs from the one given."""
        return any(area.text != self._text for area in self.query(TextArea))

    def discard(self) -> None:
        self.dismiss(None if self._keeps_empty else "")

    def action_save(self) -> None:
        self.dismiss(self.query_one(TextArea).text.strip())

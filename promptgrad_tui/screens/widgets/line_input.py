"""A text of one line, for every box where a person types one."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from promptgrad_tui.views.sanitize import visible


class LineInput(Input):
    """A text of one line; the lines of a paste are joined by spaces."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.replace(" ".join(typed_text(event.text).strip("\n").split("\n")), *self.selection)


def typed_text(text: str) -> str:
    """Return a text with what would act on the terminal shown; tabs stay, as they are data."""
    return "\t".join(visible(part) for part in text.replace("\r\n", "\n").replace("\r", "\n").split("\t"))

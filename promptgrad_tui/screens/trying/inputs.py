"""Where a person types: a box for each field, of several lines where the field's values are long."""

from __future__ import annotations

from typing import TypeAlias

from textual import events
from textual.actions import SkipAction
from textual.content import Content
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import TextArea

from promptgrad_tui.screens.widgets.line_input import LineInput, typed_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.work.trying.messages import TryField

_SHOWN_CHOICES = 60


_BREAKS = ("ctrl+j", "shift+enter", "alt+enter")
"""Keys that insert a line break, if the terminal can distinguish them from enter."""


class FieldArea(TextArea):
    """A text of several lines; enter, and the arrows at its ends, are for what lies around it."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key in _BREAKS:
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "enter":
            # Not a line break, as in the base class: the key is passed on to the screen.
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        await super()._on_paste(events.Paste(typed_text(event.text)))

    def action_cursor_up(self, select: bool = False) -> None:
        if not select and self._row == 0:
            raise SkipAction
        super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if not select and self._row == self.wrapped_document.height - 1:
            raise SkipAction
        super().action_cursor_down(select)

    @property
    def _row(self) -> int:
        """The line of the cursor as it is seen, wrapped."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y


FieldBox: TypeAlias = FieldArea | LineInput


def field_box(field: TryField, text: str = "", hint: str = "") -> FieldBox:
    """Return a box for a field; what would act on the terminal is shown in it, and is what it holds.

    `hint` is shown in an empty box, by default what the field may contain.
    """
    shown = typed_text(text)
    hint = one_line(hint) if hint else _hint(field)
    box: FieldBox
    if field.is_long or "\n" in shown:
        box = FieldArea(
            shown,
            name=field.name,
            soft_wrap=True,
            placeholder=Content(hint),
            classes="pane field",
            highlight_cursor_line=False,
        )
    else:
        suggester = SuggestFromList(field.choices, case_sensitive=False) if field.choices else None
        box = LineInput(shown, name=field.name, placeholder=hint, suggester=suggester, classes="pane field")
    kind = "" if field.type == "text" else f" ({one_line(field.type)}, as JSON)"
    optional = "" if field.is_required else " (optional)"
    box.border_title = Content(f"{one_line(field.name)}{kind}{optional}")
    return box


def boxes_in(screen: Screen[None]) -> list[FieldBox]:
    """Return the boxes on a screen, in their order."""
    return [box for box in screen.query(".field") if isinstance(box, FieldArea | LineInput)]


def text_of(box: FieldBox) -> str:
    """Return what was typed into a box."""
    return box.text if isinstance(box, FieldArea) else box.value


def set_text(box: FieldBox, text: str) -> None:
    """Put a text into a box, the cursor behind it."""
    if isinstance(box, FieldArea):
        box.text = typed_text(text)
        box.move_cursor(box.document.end)
    else:
        box.value = typed_text(text)
        box.cursor_position = len(box.value)


def _hint(field: TryField) -> str:
    if field.choices:
        listed = ", ".join(field.choices)
        return one_line(listed if len(listed) <= _SHOWN_CHOICES else f"{listed[:_SHOWN_CHOICES]}\u2026")
    return one_line(field.description)

"""The box in which an input that was tried becomes a training example: its right answer, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from promptgrad_tui.screens.trying.inputs import boxes_in, field_box, text_of
from promptgrad_tui.screens.trying.lines import problem_lines
from promptgrad_tui.screens.trying.state import Problem
from promptgrad_tui.screens.widgets.dialogs import TypedScreen
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.sanitize import fit, one_line
from promptgrad_tui.views.text_blocks import paragraph
from promptgrad_tui.views.toned_lines import Line
from promptgrad_tui.work.trying.messages import TryField

_ROWS_OF_THE_REST, _MOST_ROWS_OF_FIELDS = 9, 12


class TrySaveScreen(TypedScreen[None]):
    """Asks for what is right; it stays open until the example is kept, or a person gives up."""

    FOOT = "ctrl+s  Save     tab  Next field     esc  Cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s,enter", "save", "Save"),
    ]

    def __init__(
        self,
        inputs: Mapping[str, str],
        fields: Sequence[TryField],
        answer: Mapping[str, str],
        warning: str,
        save: Callable[[dict[str, str]], None],
    ) -> None:
        super().__init__()
        self._inputs = inputs
        self._fields = fields
        self._answer = answer
        self._warning = warning
        self._save = save
        self._problem: Problem | None = None
        self._warned = self._saving = ""
        self._is_saved = False
        self._texts_before: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box box-large try-save"):
            yield Static(
                "Save as a training example, with the right answer", markup=False, classes="box-title"
            )
            yield LinesView(lambda width, _: self._given(width), id="try-given")
            with VerticalScroll(id="try-expected", can_focus=False):
                for field in self._fields:
                    # The model's answer may be wrong: it is shown, but never used as the right answer.
                    said = self._answer.get(field.name, "")
                    yield field_box(field, field.suggestion, hint=f"the model said: {said}" if said else "")
            yield LinesView(lambda width, _: self._notes(width), id="try-notes")
            yield Static(self.FOOT, markup=False, classes="box-foot")

    def on_mount(self) -> None:
        """Begin with the first field, and make room for what is said."""
        self.query_one("#try-given").styles.height = len(self._inputs)
        self._show_told()
        boxes = boxes_in(self)
        self._texts_before = [text_of(box) for box in boxes]
        for box in boxes[:1]:
            box.focus()

    @property
    def is_saving(self) -> bool:
        """Whether the example is on its way to the file."""
        return bool(self._saving)

    @property
    def is_changed(self) -> bool:
        """Whether anything was typed that isn't on its way to the file."""
        return not self.is_saving and [text_of(box) for box in boxes_in(self)] != self._texts_before

    def on_resize(self, event: events.Resize) -> None:
        """Leave all but the fields away where there is little room."""
        self.set_class(event.size.height < 18, "low")
        self._show_told()

    def show_problem(self, message: str, hint: str) -> None:
        """Say why the example can't be kept; what was typed stays."""
        self._problem, self._saving = (message, hint), ""
        self._show_told()

    def show_saving(self, text: str) -> None:
        """Say that the example is being saved, and what that waits for."""
        self._problem, self._saving = None, text
        self._show_told()

    def finish(self) -> None:
        """Close, at once or as soon as nothing else lies over it: the example is saved."""
        self._is_saved = True
        if self.is_current:
            self.dismiss()

    def on_screen_resume(self) -> None:
        if self._is_saved:
            self.dismiss()

    def _show_told(self) -> None:
        view = self.query_one("#try-notes", LinesView)
        columns, rows = self.app.size
        height = len(self._notes(columns - 12 if columns < 90 else 76))
        view.styles.height = height
        # A problem is shown in full, however long its paths are; fields can be scrolled.
        room = rows * 9 // 10 - _ROWS_OF_THE_REST - height
        self.query_one("#try-expected").styles.max_height = (
            None if self.has_class("low") else max(min(room, _MOST_ROWS_OF_FIELDS), 3)
        )
        view.repaint()

    def _notes(self, columns: int) -> list[Line]:
        if self._problem is not None:
            return problem_lines(self._problem, columns)
        told = self._saving or self._warning
        return paragraph(told, columns, "accent") if told else []

    def _given(self, columns: int) -> list[Line]:
        return [
            (
                (f"{one_line(name)}  ", "dim"),
                (fit(text, max(columns - len(name) - 2, 8)), ""),
            )
            for name, text in self._inputs.items()
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Save, as enter does in a box of several lines."""
        event.stop()
        self.action_save()

    def action_save(self) -> None:
        """Ask for the example to be kept, once; a value that no example has is asked about first."""
        if self.is_saving:
            return
        expected = {box.name or "": text_of(box) for box in boxes_in(self)}
        unknown = _unknown(self._fields, expected)
        if unknown and unknown != self._warned:
            self._warned = unknown
            self.show_problem(unknown, "Press ctrl+s again to save it anyway.")
            return
        self._save(expected)


def _unknown(fields: Sequence[TryField], expected: Mapping[str, str]) -> str:
    """Return a sentence on the first value that no example has, where the values of examples are few."""
    for field in fields:
        value = expected.get(field.name, "").strip()
        if field.choices and value and value not in field.choices:
            return f"No example has {field.name} = {one_line(value)}. They have {', '.join(field.choices)}."
    return ""

"""The form: every setting in a table, and beside it what the one under the cursor means, or its editor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, TextArea

from engine.project.toml_lines import Place
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.project.draft import ProjectDraft, next_choice, text_of, typed_value
from promptgrad_tui.screens.project.fields import FormField, FormRow, FormSection
from promptgrad_tui.screens.project.file import UNSET
from promptgrad_tui.screens.project.lines import FORM_COLUMNS, FORM_NAMES, help_lines, paint_row
from promptgrad_tui.screens.widgets.line_input import LineInput
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.sanitize import one_line, visible
from promptgrad_tui.views.toned_lines import Line

_LINES = ("prose", "list", "table")
"""The kinds that are typed on several lines."""


class ProjectForm(Container):
    """The settings of a draft; what is typed is checked with every key."""

    BINDINGS = bindings("form")

    @dataclass
    class Changed(Message):
        """The draft has changed."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._draft: ProjectDraft | None = None
        self._edited: FormField | None = None
        self._typed_problem: str | None = None

    def compose(self) -> ComposeResult:
        """Make the table, and the pane with the help and the editors."""
        table: RowTable[FormRow] = RowTable(
            FORM_COLUMNS,
            lambda row, widths: paint_row(self._shown_draft, row, widths),
            empty="",
            follow=False,
            sortable=False,
            same=lambda row: row.place,
            named_by=FORM_NAMES,
            id="settings-table",
            classes="pane",
        )
        table.border_title = "Settings"
        yield table
        with Vertical(id="field", classes="pane"):
            yield LineInput(id="line-editor", compact=True, select_on_focus=False)
            yield TextArea(id="text-editor", soft_wrap=True, compact=True)
            help_view = TextView(id="field-help")
            help_view.can_focus = False
            yield help_view

    @property
    def _shown_draft(self) -> ProjectDraft:
        assert self._draft is not None
        return self._draft

    @property
    def _table(self) -> RowTable[FormRow]:
        return self.query_one("#settings-table", RowTable)

    @property
    def _field(self) -> FormField | None:
        row = self._table.current
        return row if isinstance(row, FormField) else None

    def show(self, draft: ProjectDraft) -> None:
        """Show a draft; the cursor stays where it is."""
        self._draft = draft
        self._table.show(draft.rows)
        self._show_help()

    def go_to(self, place: Place) -> None:
        """Put the cursor on a field, or on its section."""
        rows = self._table.rows
        for end in range(len(place), 0, -1):
            for number, row in enumerate(rows):
                if row.place == place[:end]:
                    self._table.move_to(number)
                    return

    @property
    def is_editing(self) -> bool:
        """Whether a person is typing a value."""
        return self._edited is not None

    @property
    def current(self) -> FormRow | None:
        """The row under the cursor."""
        return self._table.current

    def on_resize(self, event: events.Resize) -> None:
        """Put the help beside the table, below it, or away, by what there is room for."""
        self.set_class(event.size.width < 110, "narrow")
        self.set_class(event.size.height < 14, "tiny")

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._show_help()

    def _show_help(self) -> None:
        row = self._table.current
        # As content, not as markup: the file may hold keys of any text.
        self.query_one("#field").border_title = None if row is None else Content(_name(row))
        self.query_one("#field-help", TextView).show(self._help)
        self.refresh_bindings()

    def _help(self, columns: int) -> list[Line]:
        row = self._table.current
        return [] if row is None else help_lines(self._shown_draft, row, columns, self._typed_problem)

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        """Change the field: the next choice, or an editor."""
        event.stop()
        field = self._field
        if field is None or not field.is_known:
            return
        if field.kind in ("choice", "switch"):
            self._step(1)
        else:
            self._edit(field)

    def _edit(self, field: FormField) -> None:
        text = text_of(self._shown_draft.value(field))
        if visible(text) != text.expandtabs(4):
            self.notify("The value contains characters that can't be edited here: E opens your editor.")
            return
        self._edited = field
        self.add_class("editing")
        if field.kind in _LINES or "\n" in text:
            self.add_class("lines")
            area = self.query_one(TextArea)
            area.text = text
            area.move_cursor(area.document.end)
            area.focus()
        else:
            self.remove_class("lines")
            box = self.query_one(Input)
            box.value = text
            box.cursor_position = len(text)
            box.focus()
        self.refresh_bindings()

    @property
    def _typed(self) -> Any:
        assert self._edited is not None
        text = self.query_one(TextArea).text if self.has_class("lines") else self.query_one(Input).value
        return typed_value(self._edited, text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._judge()

    def _judge(self) -> None:
        if self._edited is not None:
            self._typed_problem = self._shown_draft.problem_of(self._edited, self._typed)
            self.query_one("#field-help", TextView).show(self._help)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Take what is typed, also where something is wrong with it: the form marks it."""
        if self._edited is not None:
            self._put(self._edited, self._typed)
            self.action_cancel()

    def action_cancel(self) -> None:
        self._edited = self._typed_problem = None
        self.remove_class("editing", "lines")
        self._table.focus()
        self._show_help()

    def _put(self, field: FormField, value: Any) -> None:
        if value is UNSET:
            self._shown_draft.unset(field)
        else:
            self._shown_draft.set(field, value)
        self._tell()

    def _tell(self) -> None:
        self._table.refresh()
        self._show_help()
        self.post_message(self.Changed())

    def _step(self, step: int) -> None:
        field = self._field
        if field is not None:
            self._put(field, next_choice(field, self._shown_draft.value(field), step))

    def action_next_choice(self) -> None:
        self._step(1)

    def action_previous_choice(self) -> None:
        self._step(-1)

    def action_undo(self) -> None:
        if (field := self._field) is not None:
            self._shown_draft.undo(field)
            self._tell()

    def action_unset(self) -> None:
        """Take the field out of the file, so that its default holds."""
        if (field := self._field) is not None:
            self._put(field, UNSET)

    def action_section(self, step: int) -> None:
        table = self._table
        starts = [number for number, row in enumerate(table.rows) if isinstance(row, FormSection)]
        beyond = [n for n in starts if (n > table.cursor if step > 0 else n < table.cursor)]
        if beyond:
            table.move_to(beyond[0] if step > 0 else beyond[-1])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply to the field under the cursor."""
        if not self.is_mounted or self._draft is None:
            return False
        if action in ("accept", "cancel"):
            return self.is_editing
        field = self._field
        if self.is_editing or (field is None and action != "section"):
            return False
        if field is None or action == "section":
            return True
        match action:
            case "next_choice" | "previous_choice":
                return field.kind in ("choice", "switch") and field.is_known
            case "undo":
                return self._draft.is_field_changed(field)
            case "unset":
                return self._draft.is_set(field)
            case _:
                return True


def _name(row: FormRow) -> str:
    return row.title if isinstance(row, FormSection) else one_line(row.id)

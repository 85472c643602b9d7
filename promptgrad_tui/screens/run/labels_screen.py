"""The screen of the labels that a run doubts: open, correct or exclude one, and take that back.

Files are read and written in a thread: it may take a while where they are long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from textual.app import ComposeResult
from textual.screen import Screen

from engine.ground.errors import DataError, PromptGradError
from engine.programs.formatting import as_text
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.run.labels_lines import (
    COLUMNS,
    change_text,
    example_lines,
    head_lines,
    label_cells,
)
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.dialogs import Choice, InputScreen, QuestionScreen, show_error
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.outside_editor import edit_outside
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.labels.doubted import place_text
from promptgrad_tui.views.sanitize import fit, one_line
from promptgrad_tui.views.toned_lines import Line
from promptgrad_tui.work.labels.correcting import typed_label
from promptgrad_tui.work.labels.decisions import LabelDecisions
from promptgrad_tui.work.labels.doubts import Doubted
from promptgrad_tui.work.labels.file_change import FileChange

T = TypeVar("T")
_NONE = "No label is probably wrong."
_UNREAD = "The list can't be read at the moment."
_LABEL_CELLS = 40


class LabelsScreen(Screen[None]):
    """The labels of one run that are probably wrong."""

    BINDINGS = bindings("labels")

    def __init__(self, folder: Path, run: str) -> None:
        super().__init__()
        self._run = run
        self._decisions = LabelDecisions(folder, run)
        self._told = "Reading the data \u2026"
        self._is_busy = False

    def compose(self) -> ComposeResult:
        """Make the head, the list, the example under the cursor, and the keys."""
        yield LinesView(lambda width, _height: self._head(width), id="status")
        table: RowTable[Doubted] = RowTable(
            COLUMNS,
            label_cells,
            empty=self._told,
            follow=False,
            sortable=False,
            same=lambda row: row.number,
            classes="pane",
        )
        table.border_title = "Labels"
        yield table
        yield TextView(id="doubted", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the list."""
        self.query_one(RowTable).focus()
        self._read()

    def _head(self, columns: int) -> list[Line]:
        return head_lines(self._run, self._decisions.rows, self._told, columns)

    @property
    def _row(self) -> Doubted | None:
        row: Doubted | None = self.query_one(RowTable).current
        return row

    def _read(self) -> None:
        self._do(self._decisions.read, lambda _: self._show())

    def _show(self) -> None:
        self._told = ""
        table = self.query_one(RowTable)
        table.empty = _NONE
        table.show(self._decisions.rows)
        self.query_one("#status", LinesView).repaint()
        self._show_example()

    def _show_example(self) -> None:
        row = self._row
        self.query_one(TextView).show(lambda width: example_lines(row, self._run, width))
        self.refresh_bindings()

    def on_row_table_moved(self) -> None:
        self._show_example()

    def on_row_table_opened(self) -> None:
        self.action_edit_outside()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply to the label under the cursor."""
        row = self._row if self.is_mounted else None
        if action == "undo":
            return self._decisions.last is not None or (
                row is not None and (row.state == "excluded" or row.corrected is not None)
            )
        if action in ("correct", "drop"):
            return row is not None and row.state == "open"
        return row is not None if action == "edit_outside" else True

    def action_edit_outside(self) -> None:
        """Open the file at the line of the example, and read the list again afterwards."""
        row = self._row
        if row is None:
            return
        found = row.example or row.corrected
        file, number = self._decisions.folder / row.label.file, row.label.line
        if found is not None:
            file, number = found.at
        try:
            edit_outside(self.app, file, number)
        except PromptGradError as error:
            show_error(self.app, error)
        else:
            self._read()

    def action_correct(self) -> None:
        """Ask whether the label becomes what the model says, or another that is typed."""
        row = self._row
        if row is not None:
            self._propose(row, row.label.answer)

    def _propose(self, row: Doubted, value: object) -> None:
        self._do(
            lambda: self._decisions.correction(row.number, value),
            lambda change: self._ask_to_correct(row, value, change),
        )

    def _ask_to_correct(self, row: Doubted, value: object, change: FileChange) -> None:
        label = row.label

        def answered(answer: str | None) -> None:
            if answer == "write":
                self._make(row, change)
            elif answer == "type":
                self.app.push_screen(InputScreen(f"{one_line(label.field)}:", as_text(value)), typed)

        def typed(text: str | None) -> None:
            if text is not None and text.strip():
                self._propose(row, typed_label(text.strip(), label.expected))

        choices = [
            Choice("C", f"Write {fit(as_text(value), _LABEL_CELLS)}", "write"),
            Choice("t", "Type another label", "type"),
        ]
        text = f"{place_text(label)}\n\n{change_text(change)}"
        self.app.push_screen(QuestionScreen("Correct the label?", text, choices), answered)

    def action_drop(self) -> None:
        """Ask whether the example is excluded."""
        row = self._row
        if row is not None:
            self._do(
                lambda: self._decisions.exclusion(row.number),
                lambda change: self._ask_to_exclude(row, change),
            )

    def _ask_to_exclude(self, row: Doubted, change: FileChange) -> None:
        def answered(answer: str | None) -> None:
            if answer:
                self._make(row, change)

        text = f"{place_text(row.label)} is left out from now on: {change.file.name} names it under [data] "
        text += f"exclude. The data file stays as it is.\n\n{change_text(change)}"
        choices = [Choice("d", "Exclude the example", "exclude")]
        self.app.push_screen(QuestionScreen("Exclude the example?", text, choices), answered)

    def _make(self, row: Doubted, change: FileChange) -> None:
        self._do(lambda: self._decisions.make(row.number, change), lambda _: self._show())

    def action_undo(self) -> None:
        """Take the last decision back, or that about the label under the cursor from an earlier time."""
        row = self._row
        if row is not None:
            self._do(lambda: self._decisions.take_back(row.number), self._taken_back)

    def _taken_back(self, number: int) -> None:
        self.query_one(RowTable).move_to(number - 1)
        self._show()

    def _do(self, do: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do something in a thread, unless something is being done."""
        if self._is_busy:
            return
        self._is_busy = True

        def done(result: T) -> None:
            self._is_busy = False
            then(result)

        in_thread(self, lambda: _with_files(do), done, self._tell)

    def _tell(self, problem: PromptGradError) -> None:
        """Show an error; the list stays as far as it was read."""
        self._is_busy = False
        if self._told:
            self._told = f"! {problem.message}"
            table = self.query_one(RowTable)
            table.empty = _UNREAD
            table.refresh()
            self.query_one("#status", LinesView).repaint()
        show_error(self.app, problem)


def _with_files(do: Callable[[], T]) -> T:
    """Do something with the project's files.

    Raises:
        PromptGradError: it can't be done, or a file can't be read or written.
    """
    try:
        return do()
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}."
        raise DataError(problem, hint="Make it readable and writable.") from error

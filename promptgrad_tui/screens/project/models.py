"""The model picker: what is on this machine, which of it the project uses, and whether it fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.models.lines import COLUMNS, paint
from promptgrad_tui.screens.models.state import Inventory, ModelRow
from promptgrad_tui.screens.project.lines import rate_text
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.figures import size_text
from promptgrad_tui.views.model_text import speed_text
from promptgrad_tui.views.text_blocks import fact, paragraph
from promptgrad_tui.views.toned_lines import Line, line
from promptgrad_tui.work.check.report import RateMeasured

Role = Literal["task", "reflection"]


class ModelPicker(Container):
    """The models of this machine.

    `role_of` returns what a draft uses a URI for, `rate_of` what a check has measured of it.
    """

    BINDINGS = bindings("picker")

    @dataclass
    class Picked(Message):
        """A person wants a model for a role."""

        uri: str
        role: Role

    def __init__(
        self,
        role_of: Callable[[str], str],
        rate_of: Callable[[str], RateMeasured | None],
        *,
        id: str,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._role_of = role_of
        self._rate_of = rate_of
        self._inventory = Inventory()
        self._problem = ""

    def compose(self) -> ComposeResult:
        table: RowTable[ModelRow] = RowTable(
            (Column("Used for", width=10), *COLUMNS),
            self._paint,
            empty="Looking for models \u2026",
            follow=False,
            same=lambda row: row.model.uri,
            classes="pane findings",
        )
        table.border_title = "Models of this machine"
        yield table
        facts = TextView(classes="pane finding")
        facts.can_focus = False
        yield facts

    def show(self, inventory: Inventory, problem: str = "") -> None:
        """Show what is here, or why that isn't known."""
        self._inventory, self._problem = inventory, problem
        rows = inventory.rows
        table = self.query_one(RowTable)
        used = next((number for number, row in enumerate(rows) if self._role_of(row.model.uri)), None)
        table.show(rows, cursor=None if table.rows else used)
        self._show_facts()

    def repaint(self) -> None:
        """Show what the draft uses now, and what is measured now."""
        self.query_one(RowTable).refresh()
        self._show_facts()

    def _paint(self, row: ModelRow, widths: Sequence[int]) -> Sequence[Line]:
        role = self._role_of(row.model.uri)
        return (line(f"\u25cf {role}" if role else "", "accent"), *paint(row, widths[1:]))

    def on_row_table_moved(self) -> None:
        self._show_facts()

    def _show_facts(self) -> None:
        self.query_one(TextView).show(self._facts)

    def _facts(self, columns: int) -> list[Line]:
        if self._problem:
            return paragraph(f"! {self._problem}", columns, "bad")
        row = self._current
        if row is None:
            return []
        model, free = row.model, self._inventory.memory_free
        lines = fact("in the file", f'task = "{model.uri}"', columns, "accent")
        lines += fact("revision", model.revision or "computed at first use", columns)
        if model.needed is not None:
            fits = "fits" if model.needed <= free else "doesn't fit"
            text = f"{fits}: needs about {size_text(model.needed)}, {size_text(free)} free"
            lines += fact("memory", text, columns, "good" if model.needed <= free else "warn")
        if model.throughput:
            lines += fact("throughput", speed_text(model.throughput), columns)
        rate = self._rate_of(model.uri)
        here = rate_text(rate) if rate else "not measured yet: b measures the project's model"
        return [*lines, *fact("measured", here, columns)]

    @property
    def _current(self) -> ModelRow | None:
        row: ModelRow | None = self.query_one(RowTable).current
        return row

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        event.stop()
        self._pick("task")

    def action_reflection(self) -> None:
        self._pick("reflection")

    def _pick(self, role: Role) -> None:
        row = self._current
        if row is None:
            return
        if row.model.problem:
            self.notify(f"It can't be used: {row.model.problem}", severity="error", markup=False)
        else:
            self.post_message(self.Picked(row.model.uri, role))

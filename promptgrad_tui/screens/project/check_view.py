"""What a check found: the facts above, the findings in a table, and the one under the cursor in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical

from promptgrad_tui.screens.project.lines import FINDING_COLUMNS, finding_lines, paint_finding
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.views.toned_lines import Line


class CheckView(Container):
    """Facts and findings; opening a finding is for the screen to act on."""

    def __init__(self, title: str, facts: Callable[[int], list[Line]], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._title = title
        self._facts = facts

    def compose(self) -> ComposeResult:
        facts = TextView(classes="pane facts")
        facts.can_focus = False
        facts.border_title = self._title
        yield facts
        table: RowTable[Finding] = RowTable(
            FINDING_COLUMNS,
            lambda finding, _widths: paint_finding(finding),
            empty="Nothing to show yet.",
            follow=False,
            same=lambda finding: finding,
            classes="pane findings",
        )
        table.border_title = "Findings"
        detail = TextView(classes="pane finding")
        detail.can_focus = False
        with Vertical(classes="found"):
            yield table
            yield detail

    def on_resize(self, event: events.Resize) -> None:
        """Put the findings beside the facts, or below them where the terminal is narrow."""
        self.set_class(event.size.width < 130, "narrow")

    def show(self, findings: Sequence[Finding]) -> None:
        """Show the facts as they are now, and findings, the worst first."""
        worst = sorted(findings, key=lambda finding: ("fail", "warn", "ok").index(finding.level))
        self.query_one(".facts", TextView).show(self._facts, keep_place=True)
        self.query_one(RowTable).show(worst)
        self._show_finding()

    def on_row_table_moved(self) -> None:
        self._show_finding()

    def _show_finding(self) -> None:
        finding: Finding | None = self.query_one(RowTable).current
        self.query_one(".finding", TextView).show(
            lambda width: finding_lines(finding, width) if finding is not None else []
        )

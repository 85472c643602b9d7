"""Tables for a terminal, laid out by Rich: plain text that fits its width."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from promptgrad_tui.views.sanitize import visible
from promptgrad_tui.views.terminal import Terminal


def table_lines(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    terminal: Terminal,
    *,
    right: Sequence[int] = (),
    indent: int = 0,
) -> list[str]:
    """Return a table as lines, its head first; `right` has the numbers of right-aligned columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for number in range(len(head)):
        table.add_column(justify="right" if number in right else "left", overflow="fold")
    for row in (head, *rows):
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console(
        file=StringIO(), width=terminal.columns - indent, color_system=None, force_terminal=False, emoji=False
    )
    with console.capture() as capture:
        console.print(table)
    first, *rest = (f"{' ' * indent}{line.rstrip()}" for line in capture.get().splitlines())
    return [terminal.style(first, bold=True), *rest]

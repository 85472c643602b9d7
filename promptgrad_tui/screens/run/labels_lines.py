"""What the screen of doubted labels shows: a row for each, the example below, and what a change would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len

from engine.journal.learning_events import DoubtedLabel
from engine.programs.formatting import as_text
from promptgrad_tui.screens.widgets.table import NUMBER, Column
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.labels.doubted import DOUBT_ADVICE, decided_text, place_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.text_blocks import fact, heading, paragraph
from promptgrad_tui.views.toned_lines import ELLIPSIS, Line, joined, line, shortened
from promptgrad_tui.work.labels.doubts import Doubted
from promptgrad_tui.work.labels.file_change import FileChange

COLUMNS = (
    Column(NUMBER, width=3, right=True),
    Column("File and line", share=4),
    Column("Example", share=6, from_width=120),
    Column("Expects", share=2),
    Column("Model says", share=2),
    Column("p", width=4, right=True),
    Column("Agree", width=5, right=True),
    Column("Decided", share=2),
)
_AROUND = 120
"""How many characters of a line are shown before and behind what a change changes in it."""


def label_cells(row: Doubted, widths: Sequence[int]) -> Sequence[Line]:
    """Return the cells of a label's row."""
    label = row.label
    place = one_line(f"{label.file}:{label.line}")
    if 0 < widths[1] < cell_len(place):
        place = one_line(f"{Path(label.file).name}:{label.line}")
    decided = decided_text(row.state, row.now)
    return (
        line(str(row.number), "dim"),
        line(shortened(place, widths[1], len(str(label.line)) + 8) if widths[1] else place),
        line(one_line(_inputs(row)), "dim"),
        line(one_line(as_text(label.expected))),
        line(one_line(as_text(label.answer)), "accent"),
        line("-" if label.probability is None else f"{label.probability:.2f}"),
        line(f"{label.alike}/{label.versions}"),
        line(decided, "good"),
    )


def head_lines(run: str, rows: Sequence[Doubted], told: str, columns: int) -> list[Line]:
    """Return whose labels these are and how many are open; `told` instead while they are read."""
    head = joined([line("Labels to look at", "strong"), line(f"run {run}", "dim")], "   ")
    if told:
        return [head, *(line(part, "dim") for part in wrap(told, columns))]
    open_ = sum(row.state == "open" for row in rows)
    counts = [line(count_text(len(rows), "label")), line(f"{open_} open" if rows else "", "accent")]
    advice = [line(part, "dim") for part in wrap(DOUBT_ADVICE, columns)] if rows else []
    return [joined([head, *counts], "   "), *advice]


def example_lines(row: Doubted | None, run: str, columns: int) -> list[Line]:
    """Return all about the label under the cursor, or what would stand here if there were any."""
    if row is None:
        text = f"Run {run} doubts no label. Examples would stand here that every version of the program "
        text += "answered wrong while it was sure of one other answer: their labels are probably wrong. "
        return paragraph(f"{text}A run looks for them at its end.", columns)
    label = row.label
    lines = [line(f"  {place_text(label)} ({label.split})", "strong")]
    example = row.example or row.corrected
    if example is None:
        lines += paragraph("The example has changed since the run.", columns, "warn")
    else:
        for name, value in example.values.items():
            if name != label.field:
                lines += fact(one_line(name), as_text(value), columns)
    lines += heading(f"  {one_line(label.field)}")
    lines += fact("expects", as_text(label.expected), columns)
    lines += fact("model says", as_text(label.answer), columns, "accent")
    lines += fact("sure", _sure(label), columns)
    if decided := decided_text(row.state, row.now):
        was = f"{as_text(label.expected)} " if row.corrected is not None else ""
        lines += fact("decided", f"{was}{decided}", columns, "good")
    return lines


def change_text(change: FileChange) -> str:
    """Return the lines that a change changes, before and after; of long ones what is around the change."""
    before, after = change.lines
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if not before.strip():
        return f"Added: {_around(after, start, end)}"
    return f"Before: {_around(before, start, end)}\n\nAfter:  {_around(after, start, end)}"


def _around(text: str, start: int, end: int) -> str:
    first, last = max(start - _AROUND, 0), min(len(text) - end + _AROUND, len(text))
    cut = one_line(text[first:last])
    return (ELLIPSIS if first else "") + cut + (ELLIPSIS if last < len(text) else "")


def _sure(label: DoubtedLabel) -> str:
    versions = f"{label.alike} of {count_text(label.versions, 'version')} say it"
    return versions if label.probability is None else f"p = {label.probability:.2f}; {versions}"


def _inputs(row: Doubted) -> str:
    example = row.example or row.corrected
    values = example.values if example is not None else {}
    shown = (as_text(value) for name, value in values.items() if name not in ("id", row.label.field))
    return " \u00b7 ".join(shown)

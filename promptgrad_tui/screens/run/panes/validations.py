"""The validation of rules: each with its state, its gain and interval, and what the test cost."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import gain_text
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.run.shared_start import telling_part
from promptgrad_tui.views.run.verdicts import VERDICTS
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import BLANK, Line, interval_bar, line

COLUMNS = (
    Column("Batch", width=5),
    Column("Verdict", width=12),
    Column("n", width=5, right=True, from_width=84),
    Column("Gain", width=6, right=True, from_width=44),
    Column("-0.5   0   +0.5", width=15, from_width=66),
    Column("Calls", width=5, right=True, from_width=100),
    Column("Rule", share=1),
)
EMPTY = "Rules are tested here, one by one, before they are kept."

SIGNS = {"add": "+", "remove": "-", "merge": "\u2295"}


def paint(row: TestRow, widths: Sequence[int], start: str = "") -> Sequence[Line]:
    """Return a test's cells; a running test shows the gain so far, in a rough interval.

    `start` is what most rules begin with: where there is little room, it is left out.
    """
    text = telling_part(one_line(row.title), start, widths[-1], beside=2)
    return (
        line(f"{row.epoch}.{row.batch}", "strong"),
        (VERDICTS[row.state],),
        line(_examples(row)),
        _gain(row),
        _bar(row, widths[4]),
        line(str(row.finished.evidence.calls) if row.finished and row.finished.evidence else "", "dim"),
        ((f"{SIGNS[row.action]} ", "dim"), (text, "")),
    )


def _examples(row: TestRow) -> str:
    if row.state == "running":
        return f"{len(row.seen)}/{row.n}"
    return str(row.n) if row.n else ""


def _gain(row: TestRow) -> Line:
    known = _known(row)
    if known is None:
        return BLANK
    delta, low, high = known
    return line(gain_text(delta), "good" if low > 0 else "bad" if high < 0 else "warn")


def _bar(row: TestRow, columns: int) -> Line:
    known = _known(row)
    return interval_bar(*known, columns, scale=0.5) if known and columns else BLANK


def _known(row: TestRow) -> tuple[float, float, float] | None:
    if row.finished is None or row.state == "running":
        return row.so_far() if row.state == "running" else None
    evidence = row.finished.evidence
    return (evidence.delta, evidence.low, evidence.high) if evidence else None

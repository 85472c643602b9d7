"""The batches: one row each, from the moment its rollouts begin."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import gain_text, value_text
from promptgrad_tui.views.run.rows import BatchStory
from promptgrad_tui.views.toned_lines import BLANK, Line, Tone, error_bars, line

COLUMNS = (
    Column("Batch", width=5),
    Column("Score", width=6, right=True),
    Column("Failed", width=6, right=True),
    Column("Rules", width=5, right=True),
    Column("Gain", width=6, right=True, from_width=48),
    Column("Error types", share=1),
)
EMPTY = "The first batch comes after the baseline."


def paint(row: BatchStory, widths: Sequence[int]) -> Sequence[Line]:
    """Return a batch's cells: score before its gradient, and the gain of the rules it led to."""
    name = line(f"{row.epoch}.{row.batch}", "strong")
    scored = row.scored
    if scored is None:
        return (name, line("\u2026", "dim"), BLANK, BLANK, BLANK, line(f"{row.done} rolled out", "accent"))
    failed, kept, tested = len(scored.failures), len(row.kept), len(row.validations)
    return (
        name,
        line(value_text(scored.score), _tone(scored.score)),
        line(f"{failed}/{len(scored.examples)}", "" if failed else "good"),
        line(f"{kept}/{tested}" if tested else "-", "good" if kept else "dim"),
        line(gain_text(row.gain), "good") if kept else line("-", "dim"),
        error_bars(scored.error_types, widths[-1]) if failed else line("no failures", "good"),
    )


def _tone(score: float) -> Tone:
    return "good" if score >= 0.9 else "bad" if score < 0.5 else "warn"

"""A project's runs as rows of the start page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from engine.journal.events import SplitScores
from engine.journal.journal import Journal, RunRecord, journal_path
from promptgrad_tui.screens.live.status import ENDS, end_of
from promptgrad_tui.views.figures import duration_text
from promptgrad_tui.views.toned_lines import Line, Tone, line

SCREEN_WAITS_SECONDS = 0.2
"""How long a screen waits for a journal that another program holds, before it says so and tries again."""


def read_runs(folder: Path) -> list[RunRecord]:
    """Return a project's runs, the oldest first; none where there is no journal yet.

    Raises:
        JournalError: the journal is damaged, or another program holds it.
    """
    path = journal_path(folder)
    if not path.is_file():
        return []
    with Journal.open(path, read_only=True, busy_seconds=SCREEN_WAITS_SECONDS) as journal:
        return journal.runs()


def paint(row: RunRecord, _widths: Sequence[int]) -> Sequence[Line]:
    """Return a run's cells on the start page."""
    summary = row.summary
    baseline = summary.baseline if summary else SplitScores()
    return (
        line(row.id, "strong"),
        (state(row),),
        _change(baseline, row.optimized, "validation"),
        _change(baseline, row.optimized, "test"),
        line("" if row.n_rules is None else str(row.n_rules)),
        line(f"{summary.calls:,}" if summary else "", "dim"),
        line(duration_text(summary.seconds) if summary else "", "dim"),
        line(
            time.strftime("%Y-%m-%d %H:%M", time.localtime(row.last_event)) if row.last_event else "", "dim"
        ),
    )


def state(row: RunRecord) -> tuple[str, Tone]:
    """Return how a run stands, in a sign and a word or two, with its tone."""
    if row.status not in ENDS:
        return ("\u25b6 reviewing" if row.summary else "\u25b6 running", "accent")
    word, tone = end_of(row.status, row.summary)
    return (f"{word}, reviewed" if row.review else word, tone)


def _change(before: SplitScores, after: SplitScores, split: str) -> Line:
    old, new = getattr(before, split), getattr(after, split)
    if old is None:
        return line("-", "dim")
    if new is None:
        return line(f"{old.score:.3f}")
    gained = new.score > old.score
    return ((f"{old.score:.3f} \u2192 ", "dim"), (f"{new.score:.3f}", "good" if gained else ""))

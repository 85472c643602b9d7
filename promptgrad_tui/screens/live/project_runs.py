"""Reading a project's runs for a screen."""

from __future__ import annotations

from pathlib import Path

from engine.journal.journal import Journal, RunRecord, journal_path

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

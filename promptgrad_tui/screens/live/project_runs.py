"""Reading a project's runs for a screen."""

from __future__ import annotations

import time
from pathlib import Path

from engine.journal.journal import Journal, RunRecord, journal_path
from promptgrad_tui.views.figures import timer_text
from promptgrad_tui.views.run.timing.progress import Progress

SCREEN_WAITS_SECONDS = 0.2
"""How long a screen waits for a locked journal before it says so and tries again."""


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


class RunWatch:
    """How far a run is that a process works on; each look reads only what has come since the one before."""

    _KINDS = (
        *("run_started", "run_resumed", "continued", "paused", "progress", "phase_started"),
        *("validation_started", "layer_test_started", "review_awaited", "rules", "run_finished"),
        "review_applied",
    )

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder, run
        self._progress = Progress()
        self._last = 0
        self._began = self._heard = 0.0
        self._reviewing = ""

    def look(self) -> None:
        """Take in what has come.

        Raises:
            JournalError: the journal is damaged, or another program holds it.
        """
        path, is_first = journal_path(self._folder), not self._last
        with Journal.open(path, read_only=True, busy_seconds=SCREEN_WAITS_SECONDS) as journal:
            for seq, event in journal.events(self._run, after=self._last, kinds=self._KINDS):
                self._last, self._heard = seq, event.time
                self._progress.apply(event)
                if event.kind in ("run_started", "run_resumed"):
                    self._began = event.time
                # What was done before the first look may belong to an earlier review.
                self._reviewing = "" if is_first else self._progress.phase

    @property
    def share(self) -> str:
        """How much of it is done, in percent, or that it waits; empty while nothing is known."""
        if self._progress.is_waiting:
            return "\u2016 waits"
        if self._progress.is_finished:
            return ""
        return f"{self._progress.fraction:.0%}" if self._progress.expected else ""

    @property
    def activity(self) -> str:
        """What it is doing, how far it is, and for how long; of a review what it does."""
        if self._progress.is_finished:
            return f"review: {self._reviewing}" if self._reviewing else "review"
        parts = [self._progress.phase, self.share]
        # Answers between two estimates aren't read here: time after the last one says nothing of speed.
        parts.append(self._progress.time_left_text(self._heard))
        parts.append(f"for {timer_text(time.time() - self._began)}" if self._began else "")
        return ", ".join(part for part in parts if part)

"""A run as plain lines: for pipes, logs and screen readers."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.journal.events import Event
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.run.event_lines import EventLines
from promptgrad_tui.views.run.timing.progress import Progress
from promptgrad_tui.views.sanitize import fit
from promptgrad_tui.views.terminal import ERASE_LINE, Terminal

_SECONDS_BETWEEN_REDRAWS = 0.2
_SECONDS_BETWEEN_LINES = 30.0
_BAR = 20


class PlainDisplay:
    """Writes a line for everything important in a run.

    On a terminal the last line shows the progress and is rewritten in place; elsewhere a progress line
    appears from time to time. `is_quiet` shows nothing.
    """

    def __init__(
        self, terminal: Terminal, *, is_quiet: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._terminal = terminal
        self._is_quiet = is_quiet
        self._clock = clock
        self._event_lines = EventLines(terminal)
        self._progress = Progress()
        self._status = self._scored = ""
        self._drawn = ""
        self._drawn_at = clock()

    def show(self, event: Event) -> None:
        """Write the lines of an event."""
        self._status = self._scored = ""
        self._progress.apply(event)
        lines = self._event_lines.lines(event)
        if lines and not self._is_quiet:
            self._erase()
            self._terminal.lines(lines)

    def remember(self, event: Event) -> None:
        """Take an event of an earlier process into account without writing it."""
        self._progress.apply(event)
        self._event_lines.lines(event)

    def status(self, text: str) -> None:
        """Show this, such as a model that loads, in place of the progress until the next event."""
        self._status = text

    def scored(self, count: int) -> None:
        """Show how many prompts were scored, beside the progress, until the next event."""
        self._scored = f"{count_text(count, 'prompt')} scored"

    def tick(self) -> None:
        """Update the progress; call it a few times a second."""
        now = self._clock()
        pause = _SECONDS_BETWEEN_REDRAWS if self._terminal.is_interactive else _SECONDS_BETWEEN_LINES
        if self._is_quiet or self._progress.is_finished or now - self._drawn_at < pause:
            return
        self._drawn_at = now
        text = self._status or self.progress_text(now)
        if not self._terminal.is_interactive:
            self._terminal.line(text)
        elif text != self._drawn:
            self._terminal.write(ERASE_LINE + self._terminal.style(text, dim=True))
            self._drawn = text

    def progress_text(self, now: float) -> str:
        """Return the progress on one line: a bar, model calls, the time left, and what is being done."""
        progress = self._progress
        if not progress.expected:
            return fit(progress.phase, self._terminal.columns - 1)
        filled = int(progress.fraction * _BAR)
        parts = [
            f"[{'#' * filled}{'.' * (_BAR - filled)}] {progress.fraction:>3.0%}",
            f"{progress.done:,} of {progress.expected:,} calls",
            _waiting(progress) or progress.time_left_text(now),
            progress.phase,
            self._scored,
        ]
        return fit("  ".join(part for part in parts if part), self._terminal.columns - 1)

    def close(self) -> None:
        """Leave the cursor on a fresh line."""
        self._erase()

    def _erase(self) -> None:
        if self._drawn:
            self._terminal.write(ERASE_LINE)
            self._drawn = ""


def _waiting(progress: Progress) -> str:
    if progress.is_awaiting_review:
        return "waiting for a review (promptgrad, then v)"
    return "paused" if progress.is_paused else ""

"""A line that is rewritten in place: what is being done, and how much of it is done."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from promptgrad_tui.views.sanitize import fit
from promptgrad_tui.views.terminal import ERASE_LINE, Terminal

_SECONDS_BETWEEN_REDRAWS = 0.1


class StatusLine:
    """Shows the last of many messages while the context lasts; nothing without a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._drawn_at = 0.0

    def show(self, text: str, done: float = 0.0) -> None:
        """Show `text` with the share (0..1) that is done, at most ten times a second."""
        now = time.monotonic()
        if not self._terminal.is_interactive or now - self._drawn_at < _SECONDS_BETWEEN_REDRAWS:
            return
        self._drawn_at = now
        line = fit(f"{text} {done:.0%}" if done else text, self._terminal.columns - 1)
        self._terminal.write(ERASE_LINE + self._terminal.style(line, dim=True))

    def clear(self) -> None:
        """Take the line away, before another is written in its place."""
        if self._drawn_at:
            self._terminal.write(ERASE_LINE)
            self._drawn_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

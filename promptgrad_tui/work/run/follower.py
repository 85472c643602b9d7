"""A thread that reads a run's events from the journal and shows them as they arrive."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from engine.ground.errors import JournalError
from engine.journal.journal import Journal
from engine.journal.live_status import read_scorings, scorings_file
from promptgrad_tui.views.run.plain import PlainDisplay

_POLL_SECONDS = 0.1


class Follower:
    """Shows a run's events while the context lasts, and that it is stopping once `stop_requested` is set."""

    def __init__(
        self, journal: Journal, run: str, display: PlainDisplay, stop_requested: threading.Event
    ) -> None:
        self._journal = journal
        self._run = run
        self._display = display
        self._stop_requested = stop_requested
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="display", daemon=True)
        self._last, self._last_time = 0, 0.0
        self._scorings = scorings_file(journal.path, run)

    def __enter__(self) -> Self:
        for number, event in self._journal.events(self._run):
            self._display.remember(event)
            self._last, self._last_time = number, event.time
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._is_over.wait(_POLL_SECONDS):
                if self._stop_requested.is_set():
                    self._display.status("stopping (press Ctrl-C again to end immediately)")
                self._catch_up()
                self._display.tick()
            self._catch_up()
            self._display.close()
        except OSError:
            # The reader of our lines has gone; the run continues without it.
            return

    def _catch_up(self) -> None:
        # What can't be read at the moment is shown at the next attempt.
        with suppress(JournalError):
            for number, event in self._journal.events(self._run, after=self._last):
                self._display.show(event)
                self._last, self._last_time = number, event.time
        scored = read_scorings(self._scorings)
        if scored is not None and scored.time > self._last_time:
            self._display.scored(scored.count)

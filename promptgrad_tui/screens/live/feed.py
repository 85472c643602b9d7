"""A thread that reads what a run writes to the journal and hands it to a screen, some at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.ground.errors import JournalError
from engine.journal.events import Event
from engine.journal.journal import Journal
from engine.journal.live_status import (
    LiveStatus,
    Scorings,
    read_scorings,
    read_status,
    scorings_file,
    status_file,
)
from engine.journal.live_text import LivePass, live_file, read_live_text

_POLL_SECONDS = 0.1
_LIVENESS_SECONDS = 1.0
_MOST_AT_ONCE = 2_000
"""Events that a screen takes in between two keys: 2,000 take about 15 ms."""


@dataclass(frozen=True)
class News:
    """What one look at the journal brought, and whether that was all; `problem` says why it wasn't.

    `passes` are the analyses that are being written at this moment, `waits_for` is what the run's process
    said last of what it waits for, `scored` how many prompts it has scored.
    """

    events: Sequence[tuple[int, Event]] = ()
    passes: tuple[LivePass, ...] = ()
    waits_for: LiveStatus | None = None
    scored: Scorings | None = None
    is_running: bool = False
    is_all: bool = True
    problem: JournalError | None = None


class RunFeed:
    """Follows a run until it is closed; `deliver` is called in the feed's own thread.

    After each delivery the feed waits for `taken`: what a screen hasn't drawn yet stays in the journal
    instead of in memory.
    """

    def __init__(self, journal: Journal, run: str, deliver: Callable[[News], object]) -> None:
        self._journal = journal
        self._run = run
        self._deliver = deliver
        self._last = 0
        self._looked_at = 0.0
        self._live_file = live_file(journal.path, run)
        self._status_file = status_file(journal.path, run)
        self._scorings_file = scorings_file(journal.path, run)
        self._said = News()
        self._taken = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="run-feed", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        self._taken.set()

    def taken(self) -> None:
        """Say that the last delivery was drawn."""
        self._taken.set()

    def _follow(self) -> None:
        pause = 0.0
        while not self._closed.wait(pause):
            news = self._look()
            pause = _POLL_SECONDS if news.is_all else 0.0
            if self._is_worth_telling(news):
                self._taken.clear()
                self._deliver(news)
                self._taken.wait(1.0)

    def _look(self) -> News:
        try:
            # Asked first: a process that is gone by now has written all that it will ever write.
            is_running = self._journal.is_running(self._run)
            events = self._journal.events(self._run, after=self._last, limit=_MOST_AT_ONCE)
            self._last = events[-1][0] if events else self._last
            is_all = len(events) < _MOST_AT_ONCE
            # A process that was killed leaves its last texts behind.
            passes = read_live_text(self._live_file) if is_running and is_all else ()
            return News(
                events,
                passes,
                read_status(self._status_file),
                read_scorings(self._scorings_file) if is_running else None,
                is_running if is_all else self._said.is_running,
                is_all,
            )
        except JournalError as error:
            return replace(self._said, events=(), is_all=True, problem=error)

    def _is_worth_telling(self, news: News) -> bool:
        now = time.monotonic()
        is_due = now - self._looked_at > _LIVENESS_SECONDS
        changed = bool(news.events) or _moment(news) != _moment(self._said)
        if changed or is_due:
            self._looked_at, self._said = now, replace(news, events=())
        return changed or is_due


def _moment(news: News) -> tuple[object, ...]:
    return news.is_running, news.passes, news.waits_for, news.scored

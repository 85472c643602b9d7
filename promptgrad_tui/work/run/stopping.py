"""A signal to this process becomes the command that stops a run, as if a screen had sent it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine.ground.errors import JournalError
from engine.journal.journal import Journal

_POLL_SECONDS = 0.1
_SECONDS_BETWEEN_COMMANDS = 2.0


@contextmanager
def forwarding_stops(stop_requested: threading.Event, journal: Journal, run: str) -> Iterator[None]:
    """Send a run the command to stop once `stop_requested` is set, again and again while the context lasts.

    A journal that can't be written at the moment is tried again.
    """
    is_over = threading.Event()

    def forward() -> None:
        due = 0.0
        while not is_over.wait(_POLL_SECONDS):
            # Repeated, because a run reads only commands sent after it has started.
            if stop_requested.is_set() and time.monotonic() >= due:
                with suppress(JournalError):
                    journal.send_command(run, "stop")
                due = time.monotonic() + _SECONDS_BETWEEN_COMMANDS

    thread = threading.Thread(target=forward, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()

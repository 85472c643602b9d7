"""What a run's process waits for at this moment, such as a model that loads: kept nowhere.

It lies in a small file beside the journal, as live texts do (see `engine.journal.live_text`), and holds
until the run's next event. A file that can't be written never hurts a run. Needs no dspy.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.ground.files import replace_file
from engine.journal.live_text import live_file

_SECONDS_BETWEEN_WRITES = 0.25


class LiveStatus(BaseModel):
    """A sentence, the share (0..1) that is done, and when it was said, in Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    done: float = 0.0
    time: float = 0.0

    def __str__(self) -> str:
        """The sentence, with what is done of it in percent."""
        return f"{self.text} {self.done:.0%}" if self.done else self.text


def status_file(journal: Path, run: str) -> Path:
    """Return where a run's process tells what it waits for."""
    return live_file(journal, run).with_suffix(".status")


class StatusFile:
    """Tells what a run's process waits for while the context lasts; safe to use from many threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._last = LiveStatus(text="")

    def show(self, text: str, done: float) -> None:
        """Say it, a few times a second at the most where only the share has changed."""
        # The name of a file may hold bytes that are no text.
        whole = text.encode("utf-8", "replace").decode()
        status = LiveStatus(text=whole, done=done, time=time.time())
        with self._lock:
            is_news = whole != self._last.text or done >= 1
            if is_news or status.time - self._last.time >= _SECONDS_BETWEEN_WRITES:
                self._last = status
                self._write(status)

    def __enter__(self) -> Self:
        self._remove()  # a process that was killed has left what it said last
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _write(self, status: LiveStatus) -> None:
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._file, status.model_dump_json().encode(), is_durable=False)


def read_status(file: Path) -> LiveStatus | None:
    """Return what a run's process said last, or None where it said nothing that can be read."""
    try:
        return LiveStatus.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None

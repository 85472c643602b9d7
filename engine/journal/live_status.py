"""What a run's process is waiting for right now, such as a model that loads; no record of it is kept.

It is a small file beside the journal, like live texts (see `engine.journal.live_text`), and is valid until
the run's next event. A file that can't be written never harms a run. Needs no dspy.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ValidationError

from engine.ground.files import replace_file
from engine.ground.frozen_model import FrozenModel
from engine.journal.live_text import live_file

_SECONDS_BETWEEN_WRITES = 0.25


class LiveStatus(FrozenModel):
    """A sentence, the share (0..1) that is done, and the time in Unix seconds."""

    text: str
    done: float = 0.0
    time: float = 0.0

    def __str__(self) -> str:
        """The sentence, with the share that is done in percent."""
        return f"{self.text} {self.done:.0%}" if self.done else self.text


def status_file(journal: Path, run: str) -> Path:
    """Return the file in which a run's process says what it is waiting for."""
    return live_file(journal, run).with_suffix(".status")


class Scorings(FrozenModel):
    """How many prompts a run's process has scored so far, and when that was said (Unix seconds)."""

    count: int
    time: float


def scorings_file(journal: Path, run: str) -> Path:
    """Return the file in which a run's process counts its scorings."""
    return live_file(journal, run).with_suffix(".scorings")


class ScoringCount:
    """Publishes how many prompts were scored, at most four times a second; thread-safe.

    Screening takes minutes on a slow model and writes no event until it ends.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._count = 0
        self._written_at = 0.0
        with suppress(OSError):
            file.unlink(missing_ok=True)  # a killed process leaves its last count behind

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self._count += 1
            now = time.time()
            if now - self._written_at >= _SECONDS_BETWEEN_WRITES:
                self._written_at = now
                _publish(self._file, Scorings(count=self._count, time=now))


def read_scorings(file: Path) -> Scorings | None:
    """Return how many prompts were scored, or None if there is nothing to read."""
    try:
        return Scorings.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


class StatusFile:
    """Publishes what a run's process is waiting for while the context lasts; thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._last = LiveStatus(text="")

    def show(self, text: str, done: float) -> None:
        """Publish a sentence; if only the share has changed, at most four times a second."""
        # A file name may hold bytes that aren't text.
        whole = text.encode("utf-8", "replace").decode()
        status = LiveStatus(text=whole, done=done, time=time.time())
        with self._lock:
            is_news = whole != self._last.text or done >= 1
            if is_news or status.time - self._last.time >= _SECONDS_BETWEEN_WRITES:
                self._last = status
                self._write(status)

    def __enter__(self) -> Self:
        self._remove()  # a killed process leaves its last sentence behind
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _write(self, status: LiveStatus) -> None:
        _publish(self._file, status)


def _publish(file: Path, said: BaseModel) -> None:
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, said.model_dump_json().encode(), is_durable=False)


def read_status(file: Path) -> LiveStatus | None:
    """Return what a run's process is waiting for, or None if there is nothing to read."""
    try:
        return LiveStatus.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None

"""Progress as lines of JSON, for a program that runs ours: a screen, a script."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self, TextIO

from engine.ground.errors import PromptGradError

_SECONDS_BETWEEN_LINES = 0.1


@dataclass(frozen=True)
class ProgressLine:
    """What is being done, and how much of it is done (0..1)."""

    text: str
    done: float = 0.0
    kind: str = "progress"


@dataclass(frozen=True)
class ErrorLine:
    """What went wrong, and what to do about it."""

    text: str
    hint: str = ""
    kind: str = "error"


def read_line(line: bytes) -> ProgressLine | ErrorLine | None:
    """Return what a line says, or None if it isn't ours: a library may also write to stderr."""
    try:
        data: dict[str, Any] = json.loads(line)
        return ErrorLine(**data) if data["kind"] == "error" else ProgressLine(**data)
    except (ValueError, KeyError, TypeError):
        return None


class ProgressLines:
    """Writes progress while the context lasts, and the error that ends it; used like `StatusLine`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._text = ""
        self._written_at = 0.0

    def show(self, text: str, done: float = 0.0) -> None:
        """Write what is being done: at most ten lines a second for the same text, and always its end."""
        now = time.monotonic()
        with self._lock:
            is_news = text != self._text or done >= 1
            if is_news or now - self._written_at >= _SECONDS_BETWEEN_LINES:
                self._text, self._written_at = text, now
                self._write(ProgressLine(text, done))

    def _write(self, line: ProgressLine | ErrorLine) -> None:
        self._stream.write(f"{json.dumps(asdict(line))}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PromptGradError):
            self._write(ErrorLine(error.message, error.hint))

"""Ctrl-C and similar signals: the first asks for a clean stop, the second ends the process immediately."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

EXIT_CODE = 130

_SAME_SIGNAL_SECONDS = 0.5
"""`timeout` and some supervisors signal a process and then its group: that is one request, sent twice."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """While the context lasts, a first signal sets `requested` and a second one ends the process."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._first_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if not self.requested.is_set():
            self._first_at = time.monotonic()
            self.requested.set()
        elif time.monotonic() - self._first_at > _SAME_SIGNAL_SECONDS:
            # Threads may be deep in a native call; all that matters is in the journal already.
            os._exit(EXIT_CODE)

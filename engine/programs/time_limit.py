"""Calls of a user's code that may not take longer than a limit, whatever they do."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

_T = TypeVar("_T")
_POLL_SECONDS = 0.02

_current: ContextVar[_Clock | None] = ContextVar("clock", default=None)


class TimeLimitError(Exception):
    """A call took longer than it may."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Return what `call` returns, or raise what it raises; it runs in a thread of its own.

    What it spends in `uncounted` isn't counted. A call that exceeds its limit is left behind, and interrupted
    as soon as it runs Python again. Code in C that never lets go of the interpreter, as an endless search by
    `re`, can't be stopped by anybody: `promptgrad check` finds it in the main thread.

    Raises:
        TimeLimitError: it took longer than `seconds`.
    """
    clock, results, errors = _Clock(), [], []

    def run() -> None:
        _current.set(clock)
        try:
            results.append(call())
        except BaseException as error:  # sys.exit too ends the call and not the program
            errors.append(error)
        finally:
            clock.done.set()

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="time-limited")
    thread.start()
    while not clock.done.wait(max(_POLL_SECONDS, seconds - clock.seconds)):
        if clock.seconds >= seconds:
            _interrupt(thread)
            raise TimeLimitError
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def uncounted() -> Iterator[None]:
    """Don't count the time spent in here: a model that is asked has its own pace."""
    clock = _current.get()
    if clock is None:
        yield
        return
    with clock.paused():
        yield


class _Clock:
    """How long a call has run, its pauses left out."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._started = time.monotonic()
        self._paused = 0.0
        self._pauses: list[float] = []
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        with self._lock:
            now = self._pauses[0] if self._pauses else time.monotonic()
            return now - self._started - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        with self._lock:
            self._pauses.append(time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                began = self._pauses.pop(0) if len(self._pauses) == 1 else None
                if began is None:
                    self._pauses.pop()
                else:
                    self._paused += time.monotonic() - began


def _interrupt(thread: threading.Thread) -> None:
    """Raise SystemExit in a thread, so that an endless loop doesn't take the processor from the rest."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))

"""Pause, continue and stop: how a person's commands reach a run through the journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from engine.ground.errors import BudgetExhaustedError, PromptGradError, RunStoppedError
from engine.journal.journal import Journal

# A person would notice a longer delay.
_POLL_SECONDS = 0.1


class RunControl:
    """Watches a run's commands while the context lasts, and pauses or stops the run accordingly.

    Commands up to number `after_command` are ignored; if it is None, so are all commands sent before now.
    `checkpoint()` is called before each model call. `on_stop` cancels the calls under way and is called
    repeatedly: a call may have passed its checkpoint and begin only after the stop. `on_pause` gets True when
    the run pauses and False when it continues. `reserve` returns how many seconds of `max_minutes` are kept
    for later; it may be replaced at any time.
    """

    def __init__(
        self,
        journal: Journal,
        run: str,
        *,
        after_command: int | None,
        max_minutes: float | None,
        on_stop: Callable[[], None],
        on_pause: Callable[[bool], None],
    ) -> None:
        self._journal = journal
        self._run = run
        self._deadline = None if max_minutes is None else time.monotonic() + max_minutes * 60
        self._max_minutes = max_minutes
        self._on_stop = on_stop
        self._on_pause = on_pause
        self._seen = journal.last_command(run) if after_command is None else after_command
        self.reserve: Callable[[], float] = lambda: 0.0
        self._may_run = threading.Event()
        self._may_run.set()
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self._failure: PromptGradError | None = None
        self._thread = threading.Thread(target=self._watch, name="run-control", daemon=True)

    def __enter__(self) -> Self:
        self._obey_commands()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def checkpoint(self) -> None:
        """Wait while the run is paused.

        Raises:
            RunStoppedError: the run was stopped.
            BudgetExhaustedError: its minutes are used up.
            PromptGradError: commands can't be read any more, so nobody could stop the run.
        """
        # A stop also sets this event, so that a paused run can be stopped.
        self._may_run.wait()
        if self._failure is not None:
            raise self._failure
        if self._stopped.is_set():
            raise RunStoppedError("The run was stopped.", hint=f"Go on with: promptgrad resume {self._run}")
        if self._deadline is not None and time.monotonic() + self.reserve() > self._deadline:
            raise BudgetExhaustedError(f"the budget of {self._max_minutes:g} minutes is used up")

    def release_deadline(self) -> None:
        """Let the closing test run to its end, however late it is."""
        self._deadline = None

    def _watch(self) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            try:
                self._obey_commands()
            except PromptGradError as error:
                self._failure = error
                self._may_run.set()
                return

    def _obey_commands(self) -> None:
        for command in self._journal.commands(self._run, self._seen):
            self._seen = command.seq
            self._obey(command.name)
        if self._stopped.is_set():
            self._on_stop()

    def _obey(self, name: str) -> None:
        if name == "stop":
            self._stopped.set()
            self._may_run.set()
        elif name == "pause" and self._may_run.is_set() and not self._stopped.is_set():
            self._may_run.clear()
            self._on_pause(True)
        elif name == "continue" and not self._may_run.is_set():
            self._may_run.set()
            self._on_pause(False)

"""One run that is looked at: its journal, what is known of it, and where its examples are."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from engine.ground.errors import JournalError, RunStoppedError
from engine.journal.completions import Completion
from engine.journal.decisions import Decision, decision_key
from engine.journal.events import Event, RolloutFinished, RunPaused
from engine.journal.journal import Journal, RunRecord
from promptgrad_tui.screens.live.worker_process import start_worker
from promptgrad_tui.views.run.rows import RolloutRow
from promptgrad_tui.views.run.status import Status
from promptgrad_tui.views.run.story import RunStory

if TYPE_CHECKING:
    from promptgrad_tui.work.measure.project_examples import ProjectExamples

Failed: TypeAlias = Literal["", "start", "review", "edit"]
_STOPPED = RunStoppedError.exit_code


class RunSession:
    """A run of a project, open for looking at it."""

    def __init__(
        self, journal: Journal, record: RunRecord, worker: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.journal = journal
        self.run = record.id
        self.project = Path(record.project)
        self.options = record.options
        self.live = RunStory()
        self._recorded = record.summary
        self.is_read = False
        self._is_running = self._has_let_go = False
        self._last_before = 0
        self.problem = ""
        self.worker = worker
        self.is_pausing = False
        self._started_at = time.time() if worker is not None else 0.0
        self._reviewing = 0
        self._is_testing_edit = False

    @property
    def is_starting(self) -> bool:
        """Whether a worker was started from here and has not taken up the run yet, with its first event."""
        # A process lives on for some seconds after it has let go of its run: it frees the model.
        is_new = self.live.last_seq == self._last_before and not self._has_let_go
        return is_new and self.worker is not None and self.worker.poll() is None

    @property
    def is_running(self) -> bool:
        """Whether a process works on the run."""
        return self._is_running

    @is_running.setter
    def is_running(self, is_running: bool) -> None:
        self._has_let_go = self._has_let_go or (self._is_running and not is_running)
        self._is_running = is_running

    @property
    def is_applying(self) -> bool:
        """Whether a process is applying a review of a finished run."""
        if self.live.finished is None or self.is_testing or not (self.is_running or self.is_starting):
            return False
        # Known from who started it here; if it was started elsewhere, from the journal.
        return self._reviewing > self.live.reviews_applied or self.live.has_begun_review

    @property
    def is_testing(self) -> bool:
        """Whether a process tests a person's edit of a rule."""
        is_busy = self.is_running or self.is_starting
        return is_busy and (self._is_testing_edit or self.live.is_testing_edit)

    @property
    def failed(self) -> Failed:
        """What the worker that was started from here was to do, and has ended without; empty if nothing."""
        code = self.worker.poll() if self.worker is not None else None
        if code is None or self.is_running:
            return ""
        if self._is_testing_edit:
            return "edit" if code not in (0, _STOPPED) else ""
        if self._reviewing > self.live.reviews_applied:
            return "review"
        return "start" if self.live.last_seq == self._last_before else ""

    def take(self, events: Sequence[tuple[int, Event]]) -> None:
        """Take in events of the run."""
        self.live.apply_all(events)
        if any(isinstance(event, RunPaused) for _, event in events):
            self.is_pausing = False

    @property
    def is_contest(self) -> bool:
        """Whether the run compares methods: it has no rules of its own to review."""
        return bool(self.options.get("contest"))

    @property
    def winner(self) -> tuple[str, str] | None:
        """The method in the first place of a finished contest, and its artifact's folder."""
        # The record of an ended run knows where the folder is if the project was moved; its events don't.
        summaries = (summary for summary in (self._recorded, self.live.summary) if summary is not None)
        return next((summary.winner for summary in summaries if summary.winner is not None), None)

    @property
    def awaited(self) -> int:
        """How many rules the run waits for: those of its question that nobody has decided on yet."""
        if not self.live.awaited:
            return 0
        with suppress(JournalError):
            decided = self.journal.decisions(self.run)
            return sum(decision_key(rule) not in decided for rule in self.live.awaited)
        return len(self.live.awaited)

    def status(self) -> Status:
        """Return the current state of the run."""
        return Status(
            self.live,
            self.is_running,
            time.time(),
            self.options,
            self.problem,
            self.is_starting,
            self.is_applying,
            self.is_read,
            self.awaited,
            self._started_at if self.is_starting or self.is_applying else 0.0,
            self.is_pausing and not self.live.progress.is_paused,
        )

    @property
    def can_resume(self) -> bool:
        """Whether the run ended before its end and no process works on it."""
        finished = self.live.finished
        ended_early = finished is None or finished.summary.status in ("budget", "stopped", "error")
        return self.is_read and not self.is_running and not self.is_starting and ended_early

    def resume(self) -> None:
        """Start the run's worker again.

        Raises:
            PromptGradError: it can't be started.
        """
        self.is_pausing = False
        self._start()

    def send_command(self, name: str) -> None:
        """Ask the run's worker for something; this waits where another program holds the journal.

        Raises:
            JournalError: the journal can't be written.
        """
        with self._own_connection() as journal:
            journal.send_command(self.run, name)
        self.is_pausing = name == "pause"

    def decide(self, decisions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write a person's decisions by their keys; this waits where another program holds the journal.

        Raises:
            JournalError: the journal can't be written.
        """
        with self._own_connection() as journal:
            for key, decision in decisions.items():
                journal.decide(self.run, key, decision)

    def _own_connection(self) -> Journal:
        # A connection lets in one thread at a time: who waits to write must keep nobody from reading.
        return Journal.open(self.journal.path)

    def apply_review(self) -> None:
        """Start a worker that makes a finished run's rules what was decided.

        Raises:
            PromptGradError: it can't be started.
        """
        self._start("--apply-review", reviewing=self.live.reviews_applied + 1)

    def try_edit(self, rule: str, decision: Decision) -> None:
        """Start a worker that tests an edit of a finished run's rule, and decides nothing.

        Raises:
            PromptGradError: it can't be started.
        """
        self._start("--try-edit", rule, decision.model_dump_json(), is_testing_edit=True)

    def _start(self, *options: str, reviewing: int = 0, is_testing_edit: bool = False) -> None:
        last_before, started_at = self.live.last_seq, time.time()
        worker = start_worker(self.project, self.run, *options)
        # Only now: until then it would be said of the worker before.
        self._last_before, self._started_at, self._has_let_go = last_before, started_at, False
        self._reviewing, self._is_testing_edit, self.worker = reviewing, is_testing_edit, worker

    def rollout(self, row: RolloutRow) -> RolloutFinished | None:
        """Return everything about a rollout.

        Raises:
            JournalError: the journal can't be read.
        """
        event = self.event(row.seq)
        return event if isinstance(event, RolloutFinished) else None

    def event(self, seq: int) -> Event | None:
        """Return the event with a number in the journal.

        Raises:
            JournalError: the journal can't be read.
        """
        return next((event for _, event in self.journal.events(self.run, after=seq - 1, limit=1)), None)

    def completions(self, keys: tuple[str, ...]) -> list[Completion]:
        """Return the model's answers with these keys, as far as they are known.

        Raises:
            JournalError: the journal can't be read.
        """
        found = (self.journal.completion(key) for key in keys)
        return [completion for completion in found if completion is not None]

    def example(self, key: str) -> dict[str, Any] | None:
        """Return the example with that content, if the project's files still hold it."""
        example = self._examples.by_key.get(key)
        return example.values if example else None

    @cached_property
    def _examples(self) -> ProjectExamples:
        # Imported late: the app must be on screen before half a second is spent on it.
        from promptgrad_tui.work.measure.project_examples import ProjectExamples

        return ProjectExamples.of(self.project)

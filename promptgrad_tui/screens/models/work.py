"""Work on models, one piece after another, each by a `promptgrad models` command in a child process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.models.state import Job
from promptgrad_tui.views.progress_lines import ProgressLine
from promptgrad_tui.views.sanitize import one_line


@dataclass(frozen=True)
class Task:
    """A piece of work: its command for a project's folder, and how its result is described."""

    job: Job
    folder: Path
    arguments: Sequence[str]
    tell: Callable[[Any], str]


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended: a sentence for a person, or an error."""

    text: str
    is_done: bool = False
    error: PromptGradError | None = None


class WorkQueue:
    """Does one piece of work at a time: two would slow each other down.

    `on_progress` is called when something has changed, `on_end` after each piece.
    """

    def __init__(self, on_progress: Callable[[], None], on_end: Callable[[Outcome], None]) -> None:
        self._on_progress = on_progress
        self._on_end = on_end
        self._waiting: deque[Task] = deque()
        self._process: CommandProcess | None = None
        self.job: Job | None = None

    @property
    def waiting(self) -> Sequence[Job]:
        """The queued work, in order."""
        return [task.job for task in self._waiting]

    def has(self, job: Job) -> bool:
        """Whether that work is in progress or queued."""
        known = [*self.waiting, *([self.job] if self.job else [])]
        return any((job.work, job.name) == (other.work, other.name) for other in known)

    def add(self, task: Task) -> None:
        """Put work at the end of what waits."""
        self._waiting.append(task)

    async def run(self) -> None:
        """Do all queued work, and what is added in the meantime."""
        while self._waiting:
            task = self._waiting.popleft()
            self.job = task.job
            arguments = ["models", *task.arguments, "--json", "--json-progress"]
            self._process = CommandProcess(arguments, task.folder, self._take)
            self._on_progress()
            outcome = await _outcome(task, self._process)
            self.job = self._process = None
            self._on_end(outcome)

    def cancel(self) -> None:
        """End the current work; queued work starts then."""
        if self._process is not None:
            self._process.cancel()

    def _take(self, progress: ProgressLine) -> None:
        if self.job is not None:
            self.job.take(progress, time.monotonic())
            self._on_progress()


async def _outcome(task: Task, process: CommandProcess) -> Outcome:
    job = task.job
    try:
        reply = await process.run()
    except PromptGradError as error:
        return Outcome(f"! {error.message}", error=error)
    if process.is_cancelled:
        ended = "cancelled; the next one continues where it stopped" if job.work == "pull" else "cancelled"
        return Outcome(f"{job}: {ended}")
    return Outcome(one_line(task.tell(reply)), is_done=True)

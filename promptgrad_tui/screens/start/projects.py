"""What can be started: a run, a resumed run, a new project. A worker does the work.

Projects are imported late: the app must be on screen before half a second is spent on that.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.screens.live.worker_process import start_worker

if TYPE_CHECKING:
    from promptgrad_tui.work.run.budget import Budget


@dataclass(frozen=True)
class StartedRun:
    """A run, its project's folder, and the process that has just been started to work on it."""

    run: str
    project: Path
    worker: subprocess.Popen[bytes]


def begin_run(
    folder: Path,
    overrides: Mapping[str, str] | None = None,
    seed: int | None = None,
    budget: Budget | None = None,
) -> StartedRun:
    """Create a run of the project in `folder` and start its worker.

    Raises:
        PromptGradError: the project is wrong, or the journal or the process can't be used.
    """
    from promptgrad_tui.work.opening import open_project
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.job import create_run

    overrides = overrides or {}
    project = open_project(folder, overrides)
    with Journal.open(journal_path(project.root)) as journal:
        record = create_run(journal, project, overrides, seed, budget or Budget())
    return StartedRun(record.id, project.root, start_worker(project.root, record.id))


def begin_again(folder: Path, run: str, budget: Budget) -> StartedRun:
    """Start the worker of an interrupted run again; what the budget leaves open stays as it was.

    Raises:
        PromptGradError: there is no such run, or the process can't be started.
    """
    with Journal.open(journal_path(folder), read_only=True) as journal:
        record = journal.run(run)
    limits = {"--max-calls": budget.max_calls, "--max-minutes": budget.max_minutes}
    options = [text for name, value in limits.items() if value is not None for text in (name, str(value))]
    project = Path(record.project)
    return StartedRun(record.id, project, start_worker(project, record.id, *options))


def write_project(folder: Path) -> Path:
    """Write a new project into `folder` and return it; nothing that exists is overwritten.

    Raises:
        PromptGradError: the folder can't be written, or holds a project already.
    """
    from promptgrad_tui.work.run.init_project import init_project

    init_project(folder)
    return folder

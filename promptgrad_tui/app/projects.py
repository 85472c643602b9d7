"""What the start page can begin: a run, the demo, a new project. A worker does the rest.

Projects are imported late: the app must be on screen before half a second is spent on that.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.journal import Journal, journal_path
from promptgrad_tui.app.worker_process import start_worker


@dataclass(frozen=True)
class StartedRun:
    """A run that has just been created, with the process that works on it."""

    run: str
    worker: subprocess.Popen[bytes]


def begin_run(folder: Path, seed: int | None = None) -> StartedRun:
    """Create a run of the project in `folder` and start its worker.

    Raises:
        PromptGradError: the project is wrong, or the journal or the process can't be used.
    """
    from promptgrad_tui.job import Budget, create_run, open_project

    project = open_project(folder, {})
    with Journal.open(journal_path(project.root)) as journal:
        record = create_run(journal, project, {}, seed, Budget())
    return StartedRun(record.id, start_worker(project.root, record.id))


def write_project(folder: Path) -> Path:
    """Write a new project into `folder` and return it; nothing that exists is overwritten.

    Raises:
        PromptGradError: the folder can't be written, or holds a project already.
    """
    from promptgrad_tui.init_project import init_project

    init_project(folder)
    return folder


def free_folder(wanted: Path) -> Path:
    """Return `wanted`, or the first of `wanted-2`, `wanted-3` ... that doesn't exist."""
    number, folder = 2, wanted
    while folder.exists():
        folder = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return folder

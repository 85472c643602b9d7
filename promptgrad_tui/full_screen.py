"""The full screen from the command line: when it opens, and on what."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.journal import Journal, journal_path
from promptgrad_tui.job import Budget, create_run, open_project


def has_screen() -> bool:
    """Whether a person sits at a terminal that can draw."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def open_screen(folder: Path, *, debug: bool = False) -> int:
    """Open the app on a project, or on the start page, and return the exit code."""
    from promptgrad_tui.app.app import open_app

    return open_app(folder, debug=debug)


def start_on_screen(folder: Path, overrides: Mapping[str, str], seed: int | None, budget: Budget) -> int:
    """Start a run's worker and open the app on it."""
    project = open_project(folder, overrides)
    with Journal.open(journal_path(project.root)) as journal:
        run = create_run(journal, project, overrides, seed, budget).id
    return _follow(project.root, run, ())


def resume_on_screen(folder: Path, run: str, budget: Budget) -> int:
    """Start the worker of an interrupted run again and open the app on it."""
    with Journal.open(journal_path(folder), read_only=True) as journal:
        record = journal.run(run)
    limits = {"--max-calls": budget.max_calls, "--max-minutes": budget.max_minutes}
    options = [text for name, value in limits.items() if value is not None for text in (name, str(value))]
    return _follow(Path(record.project), record.id, options)


def _follow(project: Path, run: str, options: tuple[str, ...] | list[str]) -> int:
    from promptgrad_tui.app.app import open_app
    from promptgrad_tui.app.worker_process import start_worker

    return open_app(project, run, worker=start_worker(project, run, *options))

"""The full screen from the command line: when it opens, and on what.

All else is imported late: without a run to begin, the first paint comes before what it doesn't need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptgrad_tui.work.run.budget import Budget


def has_screen() -> bool:
    """Whether a person sits at a terminal that can draw."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def why_no_screen() -> str:
    """Return why the full screen doesn't open at a terminal, or nothing where there is none."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return ""
    terminal = os.environ.get("TERM") or "not set"
    return f"The full screen doesn't open: TERM is {terminal}. Set it to a terminal's name that can draw."


def open_screen(folder: Path, *, debug: bool = False) -> int:
    """Open the app on a project, or on the start page, and return the exit code."""
    from promptgrad_tui.screens.app import open_app

    return open_app(folder, debug=debug)


def label_on_screen(folder: Path, n: int) -> int:
    """Open the app where a person grades `n` answers for the judge."""
    from promptgrad_tui.screens.app import open_app

    return open_app(folder, answers_to_grade=n)


def start_run(
    folder: Path,
    overrides: Mapping[str, str],
    seed: int | None,
    budget: Budget,
    *,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> int:
    """Run a project where a person sees it, or else in this process, and return the run's exit code."""
    if as_json or plain or quiet or not has_screen():
        from promptgrad_tui.work.run.headless import Output, start

        return start(folder, overrides, seed, budget, Output(as_json=as_json, quiet=quiet))
    from promptgrad_tui.screens.app import open_app
    from promptgrad_tui.screens.start.projects import begin_run

    started = begin_run(folder, overrides, seed, budget)
    return open_app(started.project, started.run, worker=started.worker)


def resume_on_screen(folder: Path, run: str, budget: Budget) -> int:
    """Start the worker of an interrupted run again and open the app on it."""
    from promptgrad_tui.screens.app import open_app
    from promptgrad_tui.screens.start.projects import begin_again

    started = begin_again(folder, run, budget)
    return open_app(started.project, started.run, worker=started.worker)

"""`promptgrad contest`: methods compared at the same budget, resumed where one was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from engine.ground.errors import ProjectError
from engine.journal.journal import Journal, journal_path
from engine.project.methods import PACKAGES, USUAL_CONTESTANTS, Contestant, ContestPlan
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.headless import Output, resume, start
from promptgrad_tui.work.run.job import unfinished_runs

_SEED = 0
"""Of projects that set none: an interrupted contest has to be the same when it is started again."""


def hold_contest(
    folder: Path, overrides: Mapping[str, str], seed: int | None, wanted: ContestPlan, output: Output
) -> int:
    """Carry out a contest, or go on with the same one if it was interrupted; return the exit code."""
    project = open_project(folder, overrides)
    if seed is None:
        seed = _SEED if project.optimizer.seed is None else project.optimizer.seed
    with Journal.open(journal_path(project.root)) as journal:
        begun = list(unfinished_runs(journal, project, overrides, seed, wanted))
    if not begun:
        return start(project.root, overrides, seed, Budget(), output, wanted)
    Terminal.stderr().line(f"Resuming contest {begun[-1].id} ({begun[-1].status}).")
    return resume(project.root, begun[-1].id, Budget(), output)


def contestants(named: tuple[Contestant, ...]) -> tuple[Contestant, ...]:
    """Return those who take part: the named ones, or the usual ones whose packages are installed.

    Raises:
        ProjectError: a named one needs a package that isn't installed.
    """
    lacking = {method: package for method, package in PACKAGES.items() if find_spec(package) is None}
    for method in named:
        if method in lacking:
            raise ProjectError(
                f"{method} needs the package {lacking[method]}, which isn't installed.",
                hint="pip install 'promptgrad-tui[optimizers]', or leave it out of --with.",
            )
    if named:
        return named
    left_out = [method for method in USUAL_CONTESTANTS if method in lacking]
    if left_out:
        Terminal.stderr().line(
            f"Left out, because a package isn't installed: {', '.join(left_out)}. "
            "pip install 'promptgrad-tui[optimizers]' adds them."
        )
    return tuple(method for method in USUAL_CONTESTANTS if method not in lacking)

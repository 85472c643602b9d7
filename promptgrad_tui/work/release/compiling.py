"""`promptgrad compile`: the cells of the matrix filled one after another, a run for each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.ground.errors import RunStoppedError
from engine.journal.events import RunStarted
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.project.settings import Project
from engine.release.matrix import Entry
from promptgrad_tui.views.sanitize import shown_path
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.release.moved_models import is_proved_on, revision_now
from promptgrad_tui.work.release.project_matrix import project_matrix
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.headless import Output, resume, start
from promptgrad_tui.work.run.job import unfinished_runs

_SEED = 0
"""Of projects that set none: an interrupted compilation has to be the same when it is started again."""


def compile_cells(folder: Path, uris: Sequence[str], budget: Budget, output: Output) -> int:
    """Run the project on each model whose cell isn't filled, and return the worst exit code.

    A cell is filled by an artifact that passed its gates and isn't stale. Started again after it was
    interrupted, a compilation resumes the run that it was in.
    """
    terminal = Terminal.stderr()
    codes = [0]
    for number, uri in enumerate(uris, 1):
        terminal.line(terminal.style(f"[{number}/{len(uris)}] {uri}", bold=True))
        project = open_project(folder, {"model.task": uri})
        filled = _filled(project)
        if filled is not None:
            terminal.line(f"  filled already: {shown_path(str(filled.path))}")
            continue
        codes.append(_run(project, budget, output, terminal))
        if codes[-1] == RunStoppedError.exit_code:
            break
    return max(codes)


def _run(project: Project, budget: Budget, output: Output, terminal: Terminal) -> int:
    overrides = {"model.task": project.model.task}
    seed = _SEED if project.optimizer.seed is None else project.optimizer.seed
    with Journal.open(journal_path(project.root)) as journal:
        begun = [
            record
            for record in unfinished_runs(journal, project, overrides, seed)
            if _began_with_these_models(journal, record, project)
        ]
    if not begun:
        return start(project.root, overrides, seed, budget, output)
    terminal.line(f"  resuming run {begun[-1].id} ({begun[-1].status})")
    return resume(project.root, begun[-1].id, budget, output)


def _began_with_these_models(journal: Journal, record: RunRecord, project: Project) -> bool:
    """Whether a run's models are still what they were when it began: a tag may have moved since."""
    began = journal.event_of(record.id, RunStarted)
    if began is None:
        return True
    task, reflection = project.model.task, project.model.reflection
    pairs = ((began.model, task), (began.reflection, task if reflection == "same" else reflection))
    for used, uri in pairs:
        now = revision_now(project, uri)
        if (now.digest, now.template_digest) != (used.revision, used.template_digest):
            return False
    return True


def _filled(project: Project) -> Entry | None:
    """Return the artifact that fills the cell of the project's model, if there is one."""
    entries = project_matrix(project).entries
    fitting = [entry for entry in entries if entry.gate in ("passed", "forced") and not entry.stale]
    if not fitting:
        return None
    revision = revision_now(project, project.model.task)
    matching = [entry for entry in fitting if entry.manifest and is_proved_on(entry.manifest, revision)]
    return matching[-1] if matching else None

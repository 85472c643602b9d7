"""`promptgrad compile`: the cells of the matrix filled one after another, a run for each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import RunStoppedError
from engine.fingerprint import project_fingerprint
from engine.matrix import Entry, read_matrix
from models import ModelSettings, open_model
from promptgrad_tui.display.event_lines import shown_path
from promptgrad_tui.headless import Output, start
from promptgrad_tui.job import Budget, open_project
from promptgrad_tui.offline import import_dspy_offline
from promptgrad_tui.terminal import Terminal

_SEED = 0
"""Of projects that set none: an interrupted compilation has to be the same when it is started again."""


def compile_cells(folder: Path, uris: Sequence[str], budget: Budget, output: Output) -> int:
    """Run the project on each model whose cell isn't filled, and return the worst exit code.

    A cell is filled by an artifact that passed its gates and isn't stale. Started again, a compilation finds
    every answer that was paid for in the journal.
    """
    import_dspy_offline()
    terminal = Terminal.stderr()
    codes = [0]
    for number, uri in enumerate(uris, 1):
        terminal.line(terminal.style(f"[{number}/{len(uris)}] {uri}", bold=True))
        filled = _filled(folder, uri)
        if filled is not None:
            terminal.line(f"  filled already: {shown_path(str(filled.path))}")
            continue
        codes.append(_run(folder, uri, budget, output))
        if codes[-1] == RunStoppedError.exit_code:
            break
    return max(codes)


def _run(folder: Path, uri: str, budget: Budget, output: Output) -> int:
    overrides = {"model.task": uri}
    seed = open_project(folder, overrides).optimizer.seed
    return start(folder, overrides, _SEED if seed is None else seed, budget, output)


def _filled(folder: Path, uri: str) -> Entry | None:
    """Return the artifact that fills the model's cell, if there is one."""
    project = open_project(folder, {"model.task": uri})
    matrix = read_matrix(project.root / "artifacts", project_fingerprint(project), project.gates)
    fitting = [entry for entry in matrix.entries if entry.gate in ("passed", "forced") and not entry.stale]
    if not fitting:
        return None
    settings = ModelSettings(**project.model.options)
    with open_model(uri, settings=settings, project_dir=project.root) as model:
        revision = model.revision
    for entry in reversed(fitting):
        proved = entry.manifest.model if entry.manifest else None
        if proved and (proved.digest, proved.template_digest) == (revision.digest, revision.template_digest):
            return entry
    return None

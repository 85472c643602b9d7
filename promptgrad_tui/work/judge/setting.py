"""A project with its judge open: what both labelling and checking need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.ground.errors import ProjectError
from engine.ground.model import Progress, RunModels
from engine.journal.journal import Journal, journal_path
from engine.journal.replay import Replay
from engine.project.settings import Project
from promptgrad_tui.work.code.program import asks_judge
from promptgrad_tui.work.run.job import open_project
from promptgrad_tui.work.run.planning import ProjectParts, load_parts, open_models

RUN = "judge"
"""The journal's name for what labelling and checking pay for."""


@dataclass(frozen=True)
class JudgeSetting:
    """A project, its parts and models, and the record of what was paid for; `grades` is 2 for yes or no."""

    project: Project
    parts: ProjectParts
    models: RunModels
    replay: Replay

    @property
    def field(self) -> str:
        """The output that is judged."""
        return self.project.metric.field or self.parts.fields.outputs[-1]

    @property
    def grades(self) -> int:
        """How many grades a person may give."""
        scale = self.project.metric.scale
        return 2 if scale is None else int(scale[1] - scale[0]) + 1


@contextmanager
def judge_setting(folder: Path, on_progress: Progress | None = None) -> Iterator[JudgeSetting]:
    """Open a project and its models.

    Raises:
        ProjectError: its metric asks no judge.
        PromptGradError: something in the project or one of its models can't be used.
    """
    project = open_project(folder, {})
    if not asks_judge(project):
        raise ProjectError(
            "The project's metric asks no judge.",
            hint='Set [metric] kind = "rubric" and its criteria, or [model] judge.',
            field="metric.kind",
        )
    parts = load_parts(project)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(journal_path(project.root)))
        models = open_models(project, journal.path.parent / "logs" / "judge.log", on_progress, stack)
        yield JudgeSetting(project, parts, models, Replay(journal, RUN))

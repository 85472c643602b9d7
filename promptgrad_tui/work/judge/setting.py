"""A project with its judge open: what both labelling and checking need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.ground.model import Progress, RunModels
from engine.journal.journal import Journal, journal_path
from engine.journal.replay import Replay
from engine.programs.coercion import BoundMetric, as_metric
from engine.project.settings import Project
from promptgrad_tui.work.code.judging import check_asks_judge
from promptgrad_tui.work.code.program import build_rubric, judged_section, rubric_criteria
from promptgrad_tui.work.opening import open_project
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
        return judged_section(self.project).field or self.parts.fields.outputs[-1]

    @property
    def grades(self) -> int:
        """How many grades a person may give."""
        return 2 if self.scale is None else self.scale[1] - self.scale[0] + 1

    @property
    def scale(self) -> tuple[int, int] | None:
        """The worst and the best grade; None for no and yes."""
        scale = judged_section(self.project).scale
        return None if scale is None else (int(scale[0]), int(scale[1]))

    @property
    def criteria(self) -> list[str]:
        """What a good answer does, with its checks in brackets, if the judge is asked by criteria."""
        rubric = self.project.rubric
        return [
            f"{one.text} ({'; '.join(one.checks)})" if one.checks else one.text
            for one in (rubric_criteria(self.project, rubric) if rubric is not None else ())
        ]

    @property
    def metric(self) -> BoundMetric:
        """The metric that asks the judge, alone."""
        rubric = self.project.rubric
        if rubric is None:
            return as_metric(self.parts.metric)
        return build_rubric(self.project, rubric, self.parts.fields.inputs)


@contextmanager
def judge_setting(folder: Path, on_progress: Progress | None = None) -> Iterator[JudgeSetting]:
    """Open a project and its models.

    Raises:
        ProjectError: its metric asks no judge.
        PromptGradError: something in the project or one of its models can't be used.
    """
    project = open_project(folder, {})
    check_asks_judge(project)
    parts = load_parts(project)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(journal_path(project.root)))
        models = open_models(project, journal.path.parent / "logs" / "judge.log", on_progress, stack)
        yield JudgeSetting(project, parts, models, Replay(journal, RUN))

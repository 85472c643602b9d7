"""Whether a project asks a judge at all, by its file alone: no model, no DSPy."""

from __future__ import annotations

from engine.ground.errors import ProjectError
from engine.project.settings import Project


def asks_judge(project: Project) -> bool:
    """Return whether a metric of the project asks a judge, as far as its file tells."""
    return project.rubric is not None or project.model.judge != "same"


def check_asks_judge(project: Project) -> None:
    """Refuse a project in which there is no judge to measure.

    Raises:
        ProjectError: its metric asks no judge.
    """
    if not asks_judge(project):
        raise ProjectError(
            "The project's metric asks no judge.",
            hint='In promptgrad.toml, set [metric] kind = "rubric" and its criteria, or [model] judge.',
            field="metric.kind",
        )

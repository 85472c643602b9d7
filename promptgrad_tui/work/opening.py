"""From a folder to a project, and to the models that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.ground.model import LocalModel, Progress
from engine.project.settings import Project, load_project
from models.settings import ModelSettings


def open_project(folder: Path, overrides: Mapping[str, str]) -> Project:
    """Read a project with its overrides.

    Raises:
        ProjectError: something in it is wrong; the message names the line.
    """
    return load_project(folder, overrides, model_options=ModelSettings)


def model_settings(project: Project) -> ModelSettings:
    """Return how a project's models are loaded and sampled."""
    return ModelSettings(**project.model.options)


def open_project_model(
    project: Project, uri: str, *, log_file: Path | None = None, on_progress: Progress | None = None
) -> LocalModel:
    """Open a model as a project loads and samples it; see `models.open_model`.

    Raises:
        ModelError: it can't be found, loaded or reached.
    """
    from models import open_model

    return open_model(
        uri,
        settings=model_settings(project),
        project_dir=project.root,
        log_file=log_file,
        on_progress=on_progress,
    )

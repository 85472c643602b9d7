"""From a folder to a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.project.settings import Project, load_project
from models.settings import ModelSettings


def open_project(folder: Path, overrides: Mapping[str, str]) -> Project:
    """Read a project with its overrides.

    Raises:
        ProjectError: something in it is wrong; the message names the line.
    """
    return load_project(folder, overrides, model_options=ModelSettings)

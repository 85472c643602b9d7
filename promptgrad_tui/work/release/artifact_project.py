"""The project that an artifact belongs to: as it was when the artifact was made, and its folder now."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import ArtifactError
from engine.project import PROJECT_FILE
from engine.project.settings import Project
from engine.release.manifest import ArtifactManifest


def project_of(manifest: ArtifactManifest, artifact: Path, folder: Path) -> Project:
    """Return the project as it was when the artifact was made, in the folder where it is now."""
    if "project" not in manifest.details:
        raise ArtifactError(
            f"{artifact} doesn't say how its program is built.",
            hint="It was saved from Python: load it there, with load_artifact(path, model, program=...).",
        )
    project = Project.model_validate(manifest.details["project"])
    return project.placed_in(folder_of(artifact, folder))


def folder_of(artifact: Path, folder: Path) -> Path:
    """Return the folder of the project that contains an artifact, else `folder`."""
    around = (parent for parent in artifact.resolve().parents if (parent / PROJECT_FILE).is_file())
    return next(around, folder.resolve())

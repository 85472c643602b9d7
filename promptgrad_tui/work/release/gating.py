"""An artifact tested against its project's gates as they are now."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import ProjectError
from engine.project import PROJECT_FILE
from engine.project.gates import Gates
from engine.release.judged import agreement_of
from engine.release.manifest import ArtifactManifest, load_manifest, load_measurement
from engine.release.power import opening_text
from engine.release.release_gate import evaluate_gates
from promptgrad_tui.views.gates import Judged
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.release.artifact_project import folder_of, project_of


def judge(artifact: Path, folder: Path) -> Judged:
    """Test what an artifact reached on its test split against the gates of its project.

    The project is the one around the artifact, else that in `folder`; where there is none, the gates are
    those that the artifact was saved with.

    Raises:
        ArtifactError: the artifact is damaged, or holds no measurement.
        ProjectError: the project can't be read.
    """
    manifest = load_manifest(artifact)
    measured = load_measurement(artifact)
    return Judged(
        path=artifact,
        manifest=manifest,
        report=evaluate_gates(_gates(manifest, artifact, folder), measured, agreement_of(manifest)),
        opening=opening_text(manifest.test_opening, measured.optimized),
    )


def _gates(manifest: ArtifactManifest, artifact: Path, folder: Path) -> Gates:
    place = folder_of(artifact, folder)
    if (place / PROJECT_FILE).is_file():
        return open_project(place, {}).gates
    try:
        return project_of(manifest, artifact, folder).gates
    except ProjectError:
        return Gates()

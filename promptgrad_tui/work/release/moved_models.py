"""The revisions that models have now, and the artifacts that were proved on other revisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.ground.errors import PromptGradError
from engine.project.settings import Project
from engine.release.manifest import ArtifactManifest
from engine.release.matrix import Entry, read_matrix
from models import ModelRevision, Progress, read_revision
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.views.sanitize import shown_path
from promptgrad_tui.work.opening import model_settings
from promptgrad_tui.work.release.artifact_project import project_of


def revision_now(project: Project, uri: str, on_progress: Progress | None = None) -> ModelRevision:
    """Return the exact revision that a URI has now in a project; no model is loaded.

    Raises:
        ModelError: the model can't be found or reached.
    """
    settings = model_settings(project)
    return read_revision(uri, settings=settings, project_dir=project.root, on_progress=on_progress)


def is_proved_on(manifest: ArtifactManifest, revision: ModelRevision) -> bool:
    """Whether an artifact was proved on this very revision, chat template included."""
    model = manifest.model
    return (model.digest, model.template_digest) == (revision.digest, revision.template_digest)


def examine_artifacts(project: Project) -> Iterator[Finding]:
    """Yield for each artifact in use whether its model is still the one that it was proved on.

    In use are the current artifacts, or the newest of each model where none of its is current.
    """
    try:
        used = _in_use(read_matrix(project.root / "artifacts").entries)
    except PromptGradError as error:
        yield Finding.of("artifacts", error)
        return
    fine = 0
    for path, manifest in used:
        uri = manifest.model.uri
        try:
            now = revision_now(project_of(manifest, path, project.root), uri)
        except PromptGradError as error:
            yield Finding("warn", "artifacts", f"{shown_path(str(path))}: {error.message}", error.hint)
            continue
        fine += is_proved_on(manifest, now)
        if not is_proved_on(manifest, now):
            yield Finding(
                "fail",
                "artifacts",
                f"{shown_path(str(path))} was proved on {uri} as it was ({manifest.model.short}); it is "
                f"another model by now ({now.short}), and the artifact is refused",
                f"Bring the model back, or: promptgrad compile --models {uri}",
            )
    if fine:
        yield Finding(
            "ok", "artifacts", f"{count_text(fine, 'artifact')} in use, each for the model it needs"
        )


def _in_use(entries: Sequence[Entry]) -> list[tuple[Path, ArtifactManifest]]:
    chosen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.manifest is None:
            continue
        key = (entry.manifest.program, entry.manifest.model.uri)
        before = chosen.get(key)
        if before is None or entry.is_current or not before.is_current:
            chosen[key] = entry
    return [(entry.path, entry.manifest) for entry in chosen.values() if entry.manifest]

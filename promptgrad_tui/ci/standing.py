"""The project's valid artifact, and what has changed since it was proved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.project.fingerprint import changes, project_fingerprint
from engine.project.gates import Gates
from engine.project.settings import Project
from engine.release.manifest import ArtifactManifest
from engine.release.matrix import Entry, read_matrix
from models import ModelRevision
from promptgrad_tui.work.release.moved_models import is_proved_on


@dataclass(frozen=True)
class Standing:
    """An artifact that may be used, and the names of what differs from the project as it is now."""

    path: Path
    manifest: ArtifactManifest
    is_current: bool
    changed: tuple[str, ...]


def standing_artifact(project: Project, revision: ModelRevision) -> Standing | None:
    """Return the project's valid artifact: one for which nothing has changed, if there is one.

    Otherwise the current one of the same model, of any model, or the last one that passed its gates.

    Raises:
        ArtifactError: the file of releases is damaged.
    """
    entries = read_matrix(project.root / "artifacts").entries
    now = project_fingerprint(project)
    found = [
        Standing(
            entry.path, entry.manifest, entry.is_current, _changed(entry.manifest, project, revision, now)
        )
        for entry in entries
        if entry.manifest is not None and _is_usable(entry)
    ]
    return max(found, key=_rank, default=None)


def _is_usable(entry: Entry) -> bool:
    return entry.is_current or entry.gate in ("passed", "forced")


def _rank(standing: Standing) -> tuple[bool, bool, bool, str]:
    is_same_model = "model" not in standing.changed
    return (not standing.changed, standing.is_current, is_same_model, standing.manifest.created)


def _changed(
    manifest: ArtifactManifest, project: Project, revision: ModelRevision, now: dict[str, str]
) -> tuple[str, ...]:
    names = changes(manifest.details.get("fingerprint", {}), now)
    told = manifest.details.get("project")
    before = (Project.model_validate(told).gates if told else Gates()).model_dump()
    gates = project.gates.model_dump()
    names += [f"gates.{name}" for name in gates if gates[name] != before[name]]
    if not is_proved_on(manifest, revision):
        names.append("model")
    return tuple(names)

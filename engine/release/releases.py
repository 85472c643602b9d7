"""Which artifact is current for each program version and model revision, and the history of switches.

This is one file, `releases.json` beside the artifacts, which each switch replaces in one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from engine.ground.errors import ArtifactError, RunLockedError
from engine.ground.files import replace_file
from engine.ground.frozen_model import FrozenModel
from engine.ground.revision import short_digest
from engine.journal import lock as run_lock
from engine.project.gates import GateReport
from engine.release.manifest import ArtifactManifest, ForcedRelease, load_manifest, record_forced

RELEASES = "releases.json"
FORMAT = 1


class Switch(FrozenModel):
    """One change of the current artifact of a cell; artifacts are paths relative to the file's folder.

    A rollback returns to `previous`. A forced promotion names the gates that failed and the reason.
    """

    time: str
    action: Literal["promote", "rollback"]
    cell: str
    artifact: str
    previous: str | None = None
    failed: tuple[str, ...] = ()
    reason: str = ""


class Releases(FrozenModel):
    """The current artifact of each cell, and the switches in order."""

    format: int = FORMAT
    current: dict[str, str] = Field(default_factory=dict)
    history: tuple[Switch, ...] = ()


def cell_of(manifest: ArtifactManifest) -> str:
    """Return the cell that an artifact belongs to: program version @ exact model revision."""
    return cell_name(manifest.program, manifest.model.digest, manifest.model.template_digest)


def cell_name(program: str, revision: str, template: str | None) -> str:
    """Return the name of a cell, made from the hashes of program version and model revision."""
    suffix = f"+{short_digest(template)}" if template else ""
    return f"{short_digest(program)}@{short_digest(revision)}{suffix}"


def root_of(artifact: Path) -> Path:
    """Return the folder of all artifacts, which holds `artifact` as name/revision/version.

    Raises:
        ArtifactError: it lies elsewhere, or is damaged.
    """
    folder = artifact.resolve()
    if folder.parent.name != load_manifest(artifact).model.short:
        raise ArtifactError(
            f"{artifact} isn't where it was saved: artifacts/NAME/REVISION/VERSION.",
            hint="Put it back there: the record of current artifacts refers to that place.",
        )
    return folder.parents[2]


def load_releases(root: Path) -> Releases:
    """Return the current artifacts below the folder of all artifacts; none before the first promotion.

    Raises:
        ArtifactError: the file is damaged.
    """
    path = root / RELEASES
    try:
        return Releases.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Releases()
    except (OSError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise ArtifactError(
            f"{path} can't be read: {problem}.",
            hint="Restore it from version control; the artifacts themselves are whole.",
        ) from error


def promote(artifact: Path, report: GateReport, *, force: bool = False, reason: str = "") -> Switch:
    """Make an artifact the current one of its cell; one that failed a gate needs `force` and a reason.

    A forced release is recorded in the artifact's manifest, too.

    Raises:
        ArtifactError: the artifact is damaged, failed a gate, or is current already.
    """
    folder, root = artifact.resolve(), root_of(artifact)
    with _locked(root):
        manifest = load_manifest(folder)
        if not report.passed and not (force and reason.strip()):
            raise ArtifactError(
                f"{artifact} failed its gates: {report.reason}.",
                hint='Improve it, or take responsibility: promptgrad promote ... --force --reason "..."',
            )
        releases, cell = load_releases(root), cell_of(manifest)
        name = folder.relative_to(root).as_posix()
        current = releases.current.get(cell)
        if current == name:
            raise ArtifactError(f"{artifact} is current already.", hint="See promptgrad history.")
        now = _now()
        if not report.passed:
            record_forced(folder, ForcedRelease(time=now, reason=reason, failed=report.failed))
        failed = tuple(result.gate for result in report.failed)
        switch = Switch(
            time=now,
            action="promote",
            cell=cell,
            artifact=name,
            previous=current,
            failed=failed,
            reason=reason if failed else "",
        )
        _write(root, releases, switch)
        return switch


def roll_back(root: Path, cell: str) -> Switch:
    """Make the previously current artifact of a cell current again.

    Raises:
        ArtifactError: nothing is current in that cell, nothing was before, or that artifact is damaged.
    """
    with _locked(root):
        releases = load_releases(root)
        standing = _standing(releases, cell)
        if not standing:
            raise ArtifactError(f"Nothing is current in {cell}.", hint="Promote an artifact first.")
        *earlier, current = standing
        if not earlier:
            raise ArtifactError(
                f"Nothing was current in {cell} before {current}.", hint="Promote another artifact instead."
            )
        *before, target = earlier
        load_manifest(root / target)
        switch = Switch(
            time=_now(),
            action="rollback",
            cell=cell,
            artifact=target,
            previous=before[-1] if before else None,
        )
        _write(root, releases, switch)
        return switch


def _standing(releases: Releases, cell: str) -> list[str]:
    """Return the artifacts whose promotions in a cell were not rolled back, in order; the last is current."""
    standing: list[str] = []
    for switch in releases.history:
        if switch.cell != cell:
            continue
        if switch.action == "promote":
            standing.append(switch.artifact)
        else:
            standing = standing[:-1] or [switch.artifact]
    return standing


def _write(root: Path, releases: Releases, switch: Switch) -> None:
    written = Releases(
        current={**releases.current, switch.cell: switch.artifact}, history=(*releases.history, switch)
    )
    path = root / RELEASES
    try:
        replace_file(path, f"{written.model_dump_json(indent=2)}\n".encode())
    except OSError as error:
        raise ArtifactError(
            f"{path} can't be written: {error.strerror}.", hint="What was current still is."
        ) from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Let one process at a time switch."""
    with ExitStack() as stack:
        # Not beside releases.json: artifacts may be committed, locks must not be.
        path = root.parent / ".promptgrad" / "locks" / "releases.lock"
        try:
            stack.enter_context(run_lock.exclusive(path, "releases"))
        except RunLockedError as error:
            raise ArtifactError("Another process is switching releases.", hint="Try again.") from error
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

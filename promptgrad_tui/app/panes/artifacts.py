"""The artifacts of a project: program versions by exact model revisions, with test scores and gates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ArtifactError
from promptgrad_tui.app.cells import BLANK, Line, Tone, line
from promptgrad_tui.app.table import Column

if TYPE_CHECKING:
    from engine.matrix import Entry

COLUMNS = (
    Column("Revision", width=12),
    Column("Version", width=7),
    Column("Before", width=6, right=True, from_width=54),
    Column("Test", width=6, right=True, from_width=40),
    Column("Rules", width=5, right=True, from_width=46),
    Column("Gates", width=8),
    Column("Stale", share=1, from_width=84),
)
EMPTY = "An artifact is saved at the end, if the test split shows a gain."

_GATES: dict[str, tuple[str, Tone]] = {
    "passed": ("\u2713 passed", "good"),
    "failed": ("\u2717 failed", "bad"),
    "forced": ("! forced", "warn"),
    "untested": ("- none", "dim"),
}


def read_artifacts(project: Path) -> list[Entry]:
    """Return the artifacts of a project, cell by cell; a damaged file of releases counts as none."""
    root = project / "artifacts"
    if not root.is_dir():
        return []
    # Imported late: the app must be on screen before time is spent on it.
    from engine.matrix import read_matrix

    try:
        return list(read_matrix(root).entries)
    except ArtifactError:
        return []


def paint(row: Entry, _widths: Sequence[int]) -> Sequence[Line]:
    """Return an artifact's cells; `●` marks the one that is current in its cell."""
    revision, version = row.path.parts[-2:]
    name = line(revision, "strong" if row.is_current else "")
    manifest = row.manifest
    if manifest is None:
        return (name, line(version), BLANK, BLANK, BLANK, line("\u2717 damaged", "bad"), BLANK)
    before, after = manifest.baseline.test, manifest.optimized.test
    gained = before is not None and after is not None and after.score > before.score
    return (
        name,
        line(f"{version} \u25cf" if row.is_current else version, "accent"),
        line(f"{before.score:.3f}" if before else "-", "dim"),
        line(f"{after.score:.3f}" if after else "-", "good" if gained else "warn"),
        line(str(len(manifest.rules))),
        (_GATES[row.gate],),
        line(", ".join(row.stale), "warn"),
    )

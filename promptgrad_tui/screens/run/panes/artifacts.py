"""The compilation matrix: what was proved or only measured on each exact model revision, and the routers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.artifacts.compression import fewer_tokens
from promptgrad_tui.views.figures import value_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import BLANK, Line, Tone, joined, line, plain

if TYPE_CHECKING:
    from engine.ground.interval import Interval
    from engine.release.manifest import ArtifactManifest
    from engine.release.matrix import Entry, Matrix, RouterEntry
    from engine.release.transfers import Transfer

COLUMNS = (
    Column("Revision", width=12),
    Column("Version", width=7),
    Column("Before", width=6, right=True, from_width=54),
    Column("Test", width=6, right=True, from_width=40),
    Column("Rules", width=5, right=True, from_width=46),
    Column("Gates", width=8),
    Column("Note", share=1, from_width=70),
)
EMPTY = "An artifact is saved at the end, if the test split shows a gain."

_GATES: dict[str, tuple[str, Tone]] = {
    "passed": ("\u2713 passed", "good"),
    "failed": ("\u2717 failed", "bad"),
    "forced": ("! forced", "warn"),
    "untested": ("- none", "dim"),
}
_DAMAGED: Line = line("\u2717 damaged", "bad")


@dataclass(frozen=True)
class MatrixRow:
    """An artifact, a router, or a transfer: rules proved on another revision and only measured here."""

    entry: Entry | None = None
    transfer: Transfer | None = None
    routing: RouterEntry | None = None

    @property
    def artifact(self) -> Path | None:
        """The folder of an artifact that can be used; nothing else can."""
        return self.entry.path if self.entry is not None and self.entry.manifest is not None else None

    @property
    def title(self) -> str:
        """What it is called."""
        if self.entry is not None:
            return f"Artifact {'/'.join(self.entry.path.parts[-3:])}"
        if self.routing is not None:
            return f"Router {'/'.join(self.routing.path.parts[-3:])}"
        return f"Measured on {revisions_of(self)[0]}"


def key(row: MatrixRow) -> object:
    """Return what tells a row from the others, also when it is read again."""
    folder = row.entry or row.routing
    return folder.path if folder is not None else row.transfer and row.transfer.test


def read_rows(folder: Path) -> list[MatrixRow]:
    """Return the matrix of the project in `folder`, cell by cell; this takes its time.

    Raises:
        PromptGradError: the file of releases or the journal is damaged.
    """
    # Imported late: the app must be on screen before time is spent on it.
    from engine.project.settings import load_project
    from promptgrad_tui.work.release.project_matrix import project_matrix

    try:
        project = load_project(folder)
    except PromptGradError:
        # What was proved is still there; only what is stale can't be said.
        from engine.release.matrix import read_matrix

        return _rows(read_matrix(folder / "artifacts"))
    return _rows(project_matrix(project))


def _rows(matrix: Matrix) -> list[MatrixRow]:
    rows: list[MatrixRow] = []
    for cell in matrix.cells:
        rows += [MatrixRow(entry=entry) for entry in cell.entries]
        rows += [MatrixRow(transfer=transfer) for transfer in cell.transfers]
    return rows + [MatrixRow(routing=router) for router in matrix.routers]


def paint(row: MatrixRow, _widths: Sequence[int], revision: str = "") -> Sequence[Line]:
    """Return a row's cells; `●` marks the artifact that is current in its cell, `!` what is stale.

    What belongs to another model than that with the short `revision` says so, and is dim.
    """
    if row.transfer is not None:
        return _transfer_cells(row.transfer)
    cells = _router_cells(row.routing) if row.routing is not None else _artifact_cells(_entry_of(row))
    if not revision or _is_of(row, revision):
        return cells
    note = joined([cells[-1], line("another model", "dim")])
    return (*(line(plain(cell), "dim") for cell in cells[:-1]), note)


def own_first(rows: Sequence[MatrixRow], revision: str) -> list[MatrixRow]:
    """Return the rows with those of the model with the short `revision` before the others."""
    return sorted(rows, key=lambda row: not _is_of(row, revision)) if revision else list(rows)


def revisions_of(row: MatrixRow) -> Sequence[str]:
    """Return the short names of the model revisions that it was measured on: two for a router."""
    if row.transfer is not None:
        return (row.transfer.model.short,)
    if row.routing is not None:
        return row.routing.path.parts[-2].split("-")
    return (_entry_of(row).path.parts[-2],)


def _is_of(row: MatrixRow, revision: str) -> bool:
    return any(name.startswith(revision) for name in revisions_of(row))


def _entry_of(row: MatrixRow) -> Entry:
    assert row.entry is not None
    return row.entry


def _artifact_cells(entry: Entry) -> Sequence[Line]:
    revision, version = entry.path.parts[-2:]
    name = line(revision, "strong" if entry.is_current else "")
    manifest = entry.manifest
    if manifest is None:
        return (name, line(version), BLANK, BLANK, BLANK, _DAMAGED, BLANK)
    mark: Line = ((" \u25cf", "accent"),) if entry.is_current else ()
    return (
        name,
        ((version, "accent"), *mark, *_stale_mark(entry.stale)),
        *_scores(manifest.baseline.test, manifest.optimized.test),
        line(str(len(manifest.rules))),
        (_GATES[entry.gate],),
        _note(entry, manifest),
    )


def _note(entry: Entry, manifest: ArtifactManifest) -> Line:
    """Return which method of a contest made an artifact, how far it is compressed, what has changed since."""
    method = line(manifest.details.get("method", ""), "accent")
    shorter = line(fewer_tokens(manifest), "accent")
    return joined([method, shorter, line(f"stale: {', '.join(entry.stale)}" if entry.stale else "", "warn")])


def _router_cells(entry: RouterEntry) -> Sequence[Line]:
    small, version = entry.path.parts[-2].partition("-")[0], entry.path.name
    router = entry.router
    if router is None:
        return (line(small), line(version), BLANK, BLANK, BLANK, _DAMAGED, line("router"))
    test = router.test.get("routed")
    return (
        line(small),
        line(version, "accent"),
        BLANK,
        line(value_text(test.score) if test else "-"),
        BLANK,
        line("router", "dim"),
        line(f"answers {router.share:.0%}, the rest {one_line(router.large.uri)}", "dim"),
    )


def _transfer_cells(transfer: Transfer) -> Sequence[Line]:
    versions = [path.parts[-2:] for path in transfer.proved]
    where = f"proved: {versions[-1][0]}" if versions else "its artifact no longer exists"
    return (
        line(transfer.model.short),
        ((versions[-1][1] if versions else "-", "dim"), *_stale_mark(transfer.stale)),
        *_scores(transfer.test.baseline, transfer.test.optimized),
        BLANK,
        line("measured", "dim"),
        line(where, "dim"),
    )


def _stale_mark(stale: Sequence[str]) -> Line:
    return ((" !", "warn"),) if stale else ()


def _scores(before: Interval | None, after: Interval | None) -> tuple[Line, Line]:
    gained = before is not None and after is not None and after.score > before.score
    return (
        line(value_text(before.score) if before else "-", "dim"),
        line(value_text(after.score) if after else "-", "good" if gained else "warn"),
    )

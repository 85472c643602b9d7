"""The compilation matrix: program versions by exact model revisions, with the results in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.ground.errors import ArtifactError
from engine.journal.event_parts import GateResult
from engine.journal.journal import Journal
from engine.project.fingerprint import changes
from engine.project.gates import Gates
from engine.release.judged import agreement_of
from engine.release.manifest import MEASURED, ROUTER, ArtifactManifest, load_manifest, load_measurement
from engine.release.release_gate import evaluate_gates
from engine.release.releases import Releases, cell_of, load_releases
from engine.release.routing.router import Router, load_router
from engine.release.transfers import Transfer, read_transfers


@dataclass(frozen=True)
class Entry:
    """One artifact in its cell; if it can't be read, `manifest` is None and `problem` says why.

    `stale` names what has changed in the project since, `gates` are the verdicts of today's gates, and
    `prompt_tokens` is the length of the longest prompt of the test split.
    """

    path: Path
    cell: str = ""
    manifest: ArtifactManifest | None = None
    problem: str = ""
    is_current: bool = False
    stale: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    prompt_tokens: int | None = None

    @property
    def gate(self) -> str:
        """The gates' verdict: passed, failed, forced (released by a person anyway) or untested."""
        if self.manifest is None or not self.gates:
            return "untested"
        if all(result.passed for result in self.gates):
            return "passed"
        return "forced" if self.manifest.forced else "failed"

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON-ready data."""
        row: dict[str, Any] = {
            "kind": "artifact",
            "artifact": str(self.path),
            "problem": self.problem,
            "current": self.is_current,
        }
        manifest = self.manifest
        if manifest is None:
            return row
        test, baseline = manifest.optimized.test, manifest.baseline.test
        return row | {
            "cell": self.cell,
            "name": manifest.name,
            "program": manifest.program,
            "model": manifest.model.model_dump(mode="json", exclude={"revision"}),
            "baseline": baseline.model_dump() if baseline else None,
            "test": test.model_dump() if test else None,
            "test_opening": manifest.test_opening,
            "gate": self.gate,
            "failed": [result.gate for result in self.gates if not result.passed],
            "rules": len(manifest.rules),
            "prompt_tokens": self.prompt_tokens,
            "created": manifest.created,
            "stale": list(self.stale),
        }


@dataclass(frozen=True)
class RouterEntry:
    """One router; if it can't be read, `router` is None and `problem` says why."""

    path: Path
    router: Router | None = None
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON-ready data."""
        row = {"kind": "router", "router": str(self.path), "problem": self.problem}
        return row | (self.router.model_dump(mode="json", exclude={"format"}) if self.router else {})


@dataclass(frozen=True)
class Cell:
    """One program version on one exact model revision: what was proved there, and what was only measured.

    The cell without a name holds the artifacts that can't be read.
    """

    name: str
    entries: Sequence[Entry]
    transfers: Sequence[Transfer]


@dataclass(frozen=True)
class Matrix:
    """All entries, cell by cell in the order of their first artifact, all transfers, and all routers.

    A router joins two artifacts of different models, so it is in no cell.
    """

    entries: Sequence[Entry] = field(default_factory=tuple)
    transfers: Sequence[Transfer] = field(default_factory=tuple)
    routers: Sequence[RouterEntry] = field(default_factory=tuple)

    @property
    def cells(self) -> list[Cell]:
        """The cells in order; last those in which nothing was proved."""
        names = dict.fromkeys([entry.cell for entry in self.entries] + [t.cell for t in self.transfers])
        return [
            Cell(
                name,
                [entry for entry in self.entries if entry.cell == name],
                [transfer for transfer in self.transfers if transfer.cell == name],
            )
            for name in names
        ]

    def as_list(self) -> list[dict[str, Any]]:
        """Return the artifacts, the transfers and the routers as JSON-ready data; `kind` tells them apart."""
        rows: list[Entry | Transfer | RouterEntry] = [*self.entries, *self.transfers, *self.routers]
        return [row.as_dict() for row in rows]


def read_matrix(
    root: Path,
    fingerprint: Mapping[str, str] | None = None,
    gates: Gates | None = None,
    journal: Journal | None = None,
) -> Matrix:
    """Return all artifacts in their folder, compared with the project as it is now, and all routers.

    Transfers are read from the journal; without one there are none.

    Raises:
        ArtifactError: the file of releases is damaged. A damaged artifact or router is an entry with a
            problem.
    """
    releases = load_releases(root)
    entries = [
        _entry(path.parent, root, releases, fingerprint, gates) for path in root.glob("*/*/*/manifest.json")
    ]
    first: dict[str, str] = {}
    for entry in sorted(entries, key=_created):
        first.setdefault(entry.cell, _created(entry))
    ordered = sorted(
        entries, key=lambda entry: (first[entry.cell], entry.cell, _created(entry), _version(entry.path))
    )
    whole = [(entry.path, entry.manifest) for entry in ordered if entry.manifest]
    transfers = read_transfers(journal, whole, fingerprint) if journal else ()
    folders = sorted(
        (path.parent for path in root.glob(f"*/*/*/{ROUTER}")),
        key=lambda folder: (folder.parent, _version(folder)),
    )
    return Matrix(tuple(ordered), transfers, tuple(_router(folder) for folder in folders))


def _router(folder: Path) -> RouterEntry:
    try:
        return RouterEntry(folder, load_router(folder))
    except ArtifactError as error:
        return RouterEntry(folder, problem=error.message)


def _entry(
    folder: Path,
    root: Path,
    releases: Releases,
    fingerprint: Mapping[str, str] | None,
    gates: Gates | None,
) -> Entry:
    is_current = folder.relative_to(root).as_posix() in releases.current.values()
    try:
        manifest = load_manifest(folder)
        measured = load_measurement(folder) if MEASURED in manifest.files else None
    except ArtifactError as error:
        return Entry(folder, problem=error.message, is_current=is_current)
    cell = cell_of(manifest)
    measured_on = manifest.details.get("fingerprint")
    stale = changes(measured_on, fingerprint) if fingerprint is not None and measured_on is not None else []
    return Entry(
        path=folder,
        cell=cell,
        manifest=manifest,
        is_current=is_current,
        stale=tuple(stale),
        gates=evaluate_gates(gates, measured, agreement_of(manifest)).results
        if gates and measured
        else manifest.gates,
        prompt_tokens=measured.most_prompt_tokens if measured else None,
    )


def _version(folder: Path) -> int:
    """Return the number of a version: a contest saves several within a second."""
    number = folder.name.removeprefix("v")
    return int(number) if number.isdecimal() else 0


def _created(entry: Entry) -> str:
    return entry.manifest.created if entry.manifest else ""

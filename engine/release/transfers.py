"""Rules measured on another model than the one they were proved on, read from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.journal.event_parts import ModelUsed
from engine.journal.events import TestFinished, TestOpened
from engine.journal.journal import Journal
from engine.project.fingerprint import changes
from engine.release.manifest import ArtifactManifest
from engine.release.releases import cell_name


@dataclass(frozen=True)
class Transfer:
    """A rule set's test scores on a model that it wasn't proved on, and can't be loaded for.

    `proved` are the artifacts that hold these rules; `stale` names what has changed in the project since.
    """

    opened: TestOpened
    test: TestFinished
    proved: tuple[Path, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def model(self) -> ModelUsed:
        """The model that it was measured on."""
        return self.opened.model

    @property
    def cell(self) -> str:
        """The cell of the matrix that it was measured in."""
        return cell_name(self.opened.program, self.model.revision, self.model.template_digest)

    @property
    def measured(self) -> str:
        """The time of the measurement, as ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.test.time, UTC).isoformat(timespec="seconds")

    def as_dict(self) -> dict[str, Any]:
        """Return the transfer as JSON-ready data."""
        return {
            "kind": "transfer",
            "cell": self.cell,
            "program": self.opened.program,
            "model": self.model.model_dump(),
            "proved": [str(path) for path in self.proved],
            "loadable": False,
            "baseline": self.test.baseline.model_dump(),
            "test": self.test.optimized.model_dump(),
            "gain": self.test.gain.model_dump(),
            "slices": {name: scores.model_dump() for name, scores in self.test.slices.items()},
            "test_opening": self.test.opening,
            "measured": self.measured,
            "stale": list(self.stale),
        }


def read_transfers(
    journal: Journal,
    artifacts: Iterable[tuple[Path, ArtifactManifest]],
    fingerprint: Mapping[str, str] | None = None,
) -> list[Transfer]:
    """Return the latest measurement of each rule set on each other model, in the order of time."""
    finished = {(run, event.id): event for run, event in journal.events_of_all_runs(TestFinished)}
    proved: dict[tuple[str, str], list[Path]] = {}
    for path, manifest in artifacts:
        proved.setdefault((manifest.program, manifest.state.digest), []).append(path)
    found: dict[tuple[str, str, str], Transfer] = {}
    for run, event in journal.events_of_all_runs(TestOpened):
        if event.purpose != "transfer":
            continue
        test = finished.get((run, event.id.removesuffix("/opened")))
        if test is not None:
            stale = changes(event.fingerprint, fingerprint) if fingerprint and event.fingerprint else []
            where = tuple(proved.get((event.program, event.rules), ()))
            transfer = Transfer(event, test, where, tuple(stale))
            found[transfer.cell, event.program, event.rules] = transfer
    return sorted(found.values(), key=lambda transfer: transfer.test.time)

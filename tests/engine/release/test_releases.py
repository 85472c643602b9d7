from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import ArtifactError
from engine.project.gates import GateReport
from engine.release.artifacts import save_artifact
from engine.release.manifest import load_manifest
from engine.release.releases import cell_of, load_releases, promote, roll_back
from tests.engine.release.test_artifacts import content

PASSED = GateReport(())


def test_rollbacks_undo_promotions_one_after_the_other(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    first, second = (save_artifact(root, content(seed=seed)) for seed in (1, 2))
    cell = cell_of(load_manifest(first))
    for artifact in (first, second, first):
        promote(artifact, PASSED)
    back = [roll_back(root, cell) for _ in range(2)]
    assert [root / switch.artifact for switch in back] == [second, first]
    assert [switch.previous and root / switch.previous for switch in back] == [first, None]
    with pytest.raises(ArtifactError, match="Nothing was current"):
        roll_back(root, cell)
    promote(second, PASSED)
    assert root / load_releases(root).current[cell] == second
    assert root / roll_back(root, cell).artifact == first

"""By whose judgement an artifact was proved, and how well that judge agreed with people."""

from __future__ import annotations

from pydantic import ValidationError

from engine.journal.event_parts import ModelUsed
from engine.project.judge_labels import Agreement
from engine.release.manifest import ArtifactManifest

JUDGE = "judge"
EMBEDDER = "embedder"
AGREEMENT = "judge_agreement"
"""Details of an artifact: the exact models that judged and compared, and the judge's agreement."""


def judge_of(manifest: ArtifactManifest) -> ModelUsed | None:
    """Return the model by whose judgement an artifact was proved; None if its metric asks none."""
    found = manifest.details.get(JUDGE)
    return ModelUsed.model_validate(found) if isinstance(found, dict) else None


def embedder_of(manifest: ArtifactManifest) -> ModelUsed | None:
    """Return the model by whose vectors an artifact's answers were compared; None if none was."""
    found = manifest.details.get(EMBEDDER)
    return ModelUsed.model_validate(found) if isinstance(found, dict) else None


def agreement_of(manifest: ArtifactManifest) -> Agreement | None:
    """Return how well an artifact's judge agreed with labels; None if that wasn't known."""
    try:
        return Agreement.model_validate(manifest.details.get(AGREEMENT))
    except ValidationError:
        return None

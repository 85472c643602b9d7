"""The demonstrations that an artifact has learned, or that a contest's method put into its program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.programs.demonstrations import Demonstration, DemonstrationSet, demonstrations_by_predictor
from engine.release.manifest import PROGRAM, ArtifactManifest

_ROOT = "self"
"""DSPy's name of the predictor of a program that is nothing else."""


def shown_demonstrations(folder: Path, manifest: ArtifactManifest) -> tuple[Demonstration, ...]:
    """Return an artifact's demonstrations, the learned ones first; it must have been verified."""
    if not manifest.details.get("contest"):
        return manifest.demonstrations
    state = json.loads((folder / PROGRAM).read_text(encoding="utf-8"))
    return (*manifest.demonstrations, *DemonstrationSet(_of_program(state, manifest)))


def _of_program(state: Mapping[str, Any], manifest: ArtifactManifest) -> Iterator[Demonstration]:
    """Yield the demonstrations of each predictor that come before the learned ones."""
    predictors = manifest.structure.get("predictors", {})
    learned = demonstrations_by_predictor(manifest.demonstrations, list(predictors))
    for name, predictor in predictors.items():
        kinds = {field: about["kind"] for field, about in predictor["fields"].items()}
        demos = (state if name == _ROOT else state.get(name, {})).get("demos", ())
        for demo in demos[: len(demos) - len(learned[name])]:
            yield Demonstration(
                inputs={field: value for field, value in demo.items() if kinds.get(field) == "input"},
                outputs={field: value for field, value in demo.items() if kinds.get(field) == "output"},
                predictor=name,
                is_bootstrapped=bool(demo.get("augmented")),
            )

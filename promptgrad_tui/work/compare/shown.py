"""The demonstrations in an artifact's prompts: those that were learned, and those of its program itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.release.manifest import PROGRAM, ArtifactManifest

_ROOT = "self"
"""DSPy's name of the predictor of a program that is nothing else."""


def shown_demonstrations(folder: Path, manifest: ArtifactManifest) -> tuple[Demonstration, ...]:
    """Return an artifact's demonstrations, the learned ones first; it must have been verified."""
    state = json.loads((folder / PROGRAM).read_text(encoding="utf-8"))
    known = {_content(one) for one in manifest.demonstrations}
    own = [one for one in _of_program(state, manifest) if _content(one) not in known]
    return (*manifest.demonstrations, *DemonstrationSet(own))


def _of_program(state: Mapping[str, Any], manifest: ArtifactManifest) -> Iterator[Demonstration]:
    """Yield what another optimizer, or the project's own Python, put into the program."""
    for name, predictor in manifest.structure.get("predictors", {}).items():
        kinds = {field: about["kind"] for field, about in predictor["fields"].items()}
        own = state if name == _ROOT else state.get(name, {})
        for demo in own.get("demos", ()):
            yield Demonstration(
                inputs={field: value for field, value in demo.items() if kinds.get(field) == "input"},
                outputs={field: value for field, value in demo.items() if kinds.get(field) == "output"},
                predictor=name,
                is_bootstrapped=bool(demo.get("augmented")),
            )


def _content(shown: Demonstration) -> str:
    return json.dumps([shown.inputs, shown.outputs], ensure_ascii=False, default=str)

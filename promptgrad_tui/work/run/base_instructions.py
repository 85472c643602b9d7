"""Base instructions taken from elsewhere: a text file, or the state that a DSPy program was saved with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.ground.errors import ProjectError

_IN_PYTHON = (
    'Write the program in Python, load the state into it there, and name it: python = "program.py:build".'
)


def read_instructions(file: Path) -> str:
    """Return the instructions that a file holds: a text, or a DSPy state of one predictor (`.json`).

    Raises:
        ProjectError: it can't be read, holds nothing, or holds more than instructions can carry.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{file} can't be read: {error}.", hint="Correct the path, or write UTF-8."
        ) from None
    instructions = _of_state(file, text) if file.suffix == ".json" else text
    if not instructions.strip():
        raise ProjectError(f"{file} holds no instructions.", hint="Write them into it.")
    return instructions.strip()


def as_override(instructions: str) -> dict[str, str]:
    """Return what `--set` would be given to put the instructions into a project."""
    quoted = json.dumps(instructions, ensure_ascii=False).replace("\x7f", "\\u007f")
    return {"program.instructions": quoted}


def _of_state(file: Path, text: str) -> str:
    try:
        state = json.loads(text)
    except ValueError as error:
        raise ProjectError(f"{file} is not JSON: {error}.", hint="Name a text file .txt or .md.") from None
    steps = _steps(state)
    if not steps:
        raise ProjectError(
            f"{file} is not the state of a DSPy program.", hint="Save one with program.save(file)."
        )
    if len(steps) > 1:
        names = ", ".join(steps)
        raise ProjectError(f"{file} holds the state of {len(steps)} predictors: {names}.", hint=_IN_PYTHON)
    (step,) = steps.values()
    if step.get("demos"):
        count = len(step["demos"])
        raise ProjectError(f"{file} holds {count} demonstrations besides its instructions.", hint=_IN_PYTHON)
    return str(step["signature"]["instructions"])


def _steps(state: Any) -> dict[str, dict[str, Any]]:
    """Return the predictors of a state by their names."""
    if not isinstance(state, dict):
        return {}
    found = {"self": state, **state}
    return {
        name: step
        for name, step in found.items()
        if isinstance(step, dict)
        and isinstance(signature := step.get("signature"), dict)
        and isinstance(signature.get("instructions"), str)
    }

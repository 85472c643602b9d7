"""Calls of a user's own functions: what they raise becomes an error that names the function and its line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from engine.ground.errors import ProjectError, PromptGradError

_OURS = [Path(__file__).parents[2] / package for package in ("engine", "promptgrad_tui")]


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turn whatever a user's function raises into a `ProjectError`; `what` names the function."""
    try:
        yield
    except PromptGradError:
        raise
    except Exception as error:
        raise ProjectError(
            f"The {what} raised {type(error).__name__}: {error} ({raised_at(error)}).",
            hint="Correct its code; --debug shows where it was raised.",
            **place_of(error),
        ) from error


class Place(TypedDict, total=False):
    """Where an error was raised, as `PromptGradError` takes it; empty if that isn't known."""

    file: Path
    line: int


def raised_at(error: Exception) -> str:
    """Return the last line of the user's file that led to `error`, as text."""
    place = place_of(error)
    return f"{place['file'].name}, line {place['line']}" if place else "at its call"


def place_of(error: Exception) -> Place:
    """Return the file and the line that `raised_at` names."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not _is_on_the_way(Path(frame.filename))
    ]
    if not frames:
        return {}
    last = [frame for frame in frames if frame.filename == frames[0].filename][-1]
    return {"file": Path(last.filename), "line": last.lineno or 0}


def _is_on_the_way(file: Path) -> bool:
    """Whether a file only calls the user's code: one of ours, of DSPy's, or of Python's."""
    is_pythons = file.name == "contextlib.py" or file.parent.name == "asyncio"
    is_ours = any(file.is_relative_to(package) for package in _OURS)
    return is_ours or is_pythons or file.is_relative_to(_dspy())


@lru_cache(maxsize=1)
def _dspy() -> Path:
    spec = find_spec("dspy")
    return Path(spec.origin if spec and spec.origin else "dspy").parent

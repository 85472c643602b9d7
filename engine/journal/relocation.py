"""A project that was moved since its journal was written: what lies in it is told where it is now."""

from __future__ import annotations

from pathlib import Path


def relocated(path: str | None, project: Path) -> str | None:
    """Return where a folder of the project lies now that the project is in `project`; unknown ones stay."""
    if path is None or Path(path).is_relative_to(project):
        return path
    parts = Path(path).parts
    tails = (project.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((str(tail) for tail in tails if tail.is_dir()), path)

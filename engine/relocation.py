"""A project that was moved since its journal was written: what lies in it is told where it is now."""

from __future__ import annotations

from pathlib import Path


def relocated(path: str | None, before: str, now: str) -> str | None:
    """Return where a path that lay in the folder `before` lies in the folder `now`; others stay."""
    if path is None or not Path(path).is_relative_to(before):
        return path
    return str(Path(now) / Path(path).relative_to(before))

"""Paths as a person reads them: from the folder of the project."""

from __future__ import annotations

import os
from pathlib import Path


def relative_path(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder; on Windows, one on another drive stays whole."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return str(path.absolute())

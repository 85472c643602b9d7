"""The next version of what is released: a folder that appears complete or not at all. Needs no dspy."""

from __future__ import annotations

import re
from pathlib import Path

from engine.ground.files import sync_folder


def folder_name(name: str) -> str:
    """Return a name as a folder can have it."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "program"


def publish(temporary: Path, parent: Path) -> Path:
    """Make a finished folder the next free version in `parent`, and return it; none is ever overwritten.

    Raises:
        OSError: it can't be renamed.
    """
    version = 1
    while True:
        final = parent / f"v{version}"
        version += 1
        if final.exists():
            continue
        try:
            temporary.rename(final)
        except OSError:
            if final.exists():  # another run was faster
                continue
            raise
        sync_folder(parent)
        return final

"""Files that appear whole: whoever reads one sees the old content or the new one, never a part of either."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, is_durable: bool = True) -> None:
    """Put `content` in the place of a file in one step; its mode stays, and a symbolic link stays a link.

    A durable file is on the disk when this returns. What can be made again, such as a cache, needn't wait.

    Raises:
        OSError: the file can't be written; it is as it was.
    """
    target = path.resolve()
    # The name of the process: two of them may replace the same file at once.
    draft = target.with_name(f".{target.name}.saving-{os.getpid()}")
    try:
        if is_durable:
            write_durably(draft, content)
        else:
            draft.write_bytes(content)
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    if is_durable:
        sync_folder(target.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and return when it is on the disk."""
    _write_synced(path, "wb", content)


def append_durably(path: Path, content: bytes) -> None:
    """Add to the end of a file and return when it is on the disk."""
    _write_synced(path, "ab", content)


def sync_folder(path: Path) -> None:
    """Return when what was renamed or created in a folder is on the disk; Windows has no call for that."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_synced(path: Path, mode: str, content: bytes) -> None:
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

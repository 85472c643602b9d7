"""Results that stay valid until their key changes: small JSON files in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import platformdirs

from engine.ground.files import replace_file


def recall(kind: str, key: object) -> Any | None:
    """Return the value of this kind that was stored under a key (anything JSON can hold), or None."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(_place(kind, key).read_text(encoding="utf-8"))
    return None


def remember(kind: str, key: object, value: Any) -> None:
    """Store a value; a cache that can't be written costs time, never an answer."""
    place = _place(kind, key)
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, json.dumps(value).encode(), is_durable=False)


def file_key(*files: Path) -> list[tuple[str, int, int, int, int]]:
    """Return a key that changes whenever one of these files does, as far as the system can tell.

    Raises:
        OSError: one of them is missing or can't be read.
    """
    # The inode catches a file that was replaced by one of the same size and time.
    stats = [(str(file.resolve()), file.stat()) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev) for name, stat in stats]


def _place(kind: str, key: object) -> Path:
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("promptgrad", appauthor=False)) / kind / f"{name}.json"

"""How fast a model is on this machine: what was measured once, remembered by revision and machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs


@dataclass(frozen=True)
class Throughput:
    """Tokens per second of one model on one machine."""

    prompt: float
    """Prompt tokens evaluated per second, of one prompt that shares nothing with others."""
    single: float
    """Tokens generated per second by one request alone."""
    several: float
    """Tokens generated per second by `sequences` requests together."""
    sequences: int
    measured: float
    """When, in Unix seconds."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Throughput:
        """Return what `as_dict` was made from."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def remember(throughput: Throughput, revision: str, runs_at: str) -> None:
    """Keep what was measured of a revision; `runs_at` says which server ran it, empty in process."""
    place = _file(revision, runs_at)
    with contextlib.suppress(OSError):  # a cache that can't be written costs a measurement, never an answer
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(throughput.as_dict()), encoding="utf-8")
        partial.replace(place)


def recall(revision: str | None, runs_at: str) -> Throughput | None:
    """Return what was measured of a revision on this machine, or None."""
    if revision is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Throughput.from_dict(json.loads(_file(revision, runs_at).read_text(encoding="utf-8")))
    return None


def _file(revision: str, runs_at: str) -> Path:
    # A home folder may be shared by machines: what one of them measured says nothing of another.
    machine = [platform.node(), platform.machine(), os.cpu_count()]
    name = hashlib.sha256(json.dumps([revision, runs_at, machine]).encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("promptgrad", appauthor=False)) / "throughput" / f"{name}.json"

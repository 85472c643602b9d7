"""How fast a model is on this machine: what was measured once, remembered by revision and machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models import user_cache


@dataclass(frozen=True)
class Throughput:
    """Tokens per second of one model on one machine."""

    prompt: float
    """Prompt tokens evaluated per second, for a prompt that shares nothing with others."""
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
    """Store the measurement of a revision; `runs_at` is the server that ran it, empty in process."""
    user_cache.remember("throughput", _key(revision, runs_at), throughput.as_dict())


def recall(revision: str | None, runs_at: str) -> Throughput | None:
    """Return the measurement of a revision on this machine, or None."""
    known = user_cache.recall("throughput", _key(revision, runs_at)) if revision else None
    try:
        return Throughput.from_dict(known) if known else None
    except (KeyError, TypeError):
        return None


def _key(revision: str, runs_at: str) -> list[object]:
    # Machines may share a home folder, and a measurement holds for one machine only.
    return [revision, runs_at, platform.node(), platform.machine(), os.cpu_count()]

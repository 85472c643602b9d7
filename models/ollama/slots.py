"""How many answers an Ollama server writes at a time: found in what it says of the time that they took."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_NANOSECONDS = 1e9

_ENOUGH = 4
"""Answers of which one at least stood in the queue, before the number of slots is believed."""

_WAITED = 0.25
"""The share of an answer's own time that it must have waited for to have stood in a queue."""

_BLUR = 0.15
"""The share of a time that is cut off at both ends: what overlaps by less was one after the other."""

RELOAD_SECONDS = 1.0
"""The time to load a model from which on it was loaded again: a loaded one takes milliseconds."""


class Slots:
    """Counts how many answers a server wrote at the same time while others stood in its queue."""

    def __init__(self) -> None:
        self.known: int | None = None
        self._times: deque[tuple[float, float]] = deque(maxlen=32)
        self._has_queued = False

    def ended(self, told: Mapping[str, Any], *, behind: int) -> bool:
        """Note an answer by its end; whether the number of slots is known since then.

        `behind` is how many requests were under way when it was asked for. An answer behind none stood in no
        queue, whatever took its time: a busy machine must not be taken for a server with a single slot.
        """
        worked = _seconds(told, "prompt_eval_duration") + _seconds(told, "eval_duration")
        waited = _seconds(told, "total_duration") - _seconds(told, "load_duration") - worked
        now = _time(told)  # by the server's clock, as all of these are
        if worked <= 0 or now is None:
            return False
        self._times.append((now - worked * (1 - _BLUR), now - worked * _BLUR))
        self._has_queued = self._has_queued or (behind > 0 and waited > _WAITED * worked)
        if self.known is not None or not self._has_queued or len(self._times) < _ENOUGH:
            return False
        self.known = max(sum(begun <= at <= end for begun, end in self._times) for at, _ in self._times)
        return True


def load_seconds(told: Mapping[str, Any]) -> float:
    """Return how long the server loaded the model before an answer."""
    return _seconds(told, "load_duration")


def _time(told: Mapping[str, Any]) -> float | None:
    """Return when an answer ended, in Unix seconds."""
    try:
        return datetime.fromisoformat(str(told.get("created_at"))).timestamp()
    except ValueError:
        return None


def _seconds(told: Mapping[str, Any], name: str) -> float:
    return float(told.get(name) or 0) / _NANOSECONDS

"""What a server says is wrong: each has its own place for it, and some put another server's error inside."""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 4
_PLACES = ("error", "message", "detail")
_LONGEST = 500


def error_text(body: str) -> str:
    """Return the reason in an error's body, in one line; one from below lies in JSON in that JSON."""
    reason: Any = body
    for _ in range(_DEEPEST):
        inner = _inner(reason)
        if inner is None:
            break
        reason = inner
    return " ".join(str(reason).split()).rstrip(".")[:_LONGEST]


def error_status(body: str, status: int) -> int:
    """Return the status that fits an error: the one from below where there is one."""
    reason: Any = body
    for _ in range(_DEEPEST):
        data = _parsed(reason)
        code = data.get("code") if data else None
        status = code if isinstance(code, int) else status
        reason = _inner(reason)
    return status


def _inner(reason: Any) -> Any:
    data = _parsed(reason) or {}
    return next((data[key] for key in _PLACES if data.get(key)), None)


def _parsed(reason: Any) -> dict[str, Any] | None:
    if isinstance(reason, str):
        try:
            reason = json.loads(reason)
        except ValueError:
            return None
    return reason if isinstance(reason, dict) else None

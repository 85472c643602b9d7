"""What is said of a model, in a terminal and on a screen alike: its speed, its metadata."""

from __future__ import annotations

import json
from typing import Any

from models.speed.throughput import Throughput
from promptgrad_tui.views.sanitize import one_line


def speed_text(measured: Throughput) -> str:
    """Return what was measured as a sentence."""
    return (
        f"{rate_text(measured.prompt)} prompt tokens/s; {rate_text(measured.single)} generated tokens/s, "
        f"{rate_text(measured.several)} with {measured.sequences} requests at a time"
    )


def rate_text(per_second: float) -> str:
    """Return a rate with the digits that matter: 8.2, 42, 1,250."""
    return f"{per_second:.1f}" if per_second < 10 else f"{per_second:,.0f}"


def value_text(value: Any) -> str:
    """Return a value of a model's metadata on one line."""
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))

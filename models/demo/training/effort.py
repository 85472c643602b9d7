"""What a training took: kept in the checkpoint, written into the GGUF, told by the report."""

from __future__ import annotations

from dataclasses import dataclass

METADATA_PREFIX = "promptgrad.training"
"""Of the GGUF's keys that hold an `Effort`."""


@dataclass(frozen=True)
class Effort:
    """Optimizer steps, tokens (padding included) and minutes."""

    steps: int
    tokens: int
    minutes: float

"""A place in a run: an epoch and one of its batches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """An epoch and a batch, both counted from 1; `batch` is 0 for what concerns the whole epoch.

    As text it begins the ids of events, and random draws depend on it.
    """

    epoch: int
    batch: int = 0

    def __str__(self) -> str:
        return f"epoch{self.epoch}/batch{self.batch}"

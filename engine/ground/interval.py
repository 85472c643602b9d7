"""A mean score with its confidence interval, as events, manifests and screens carry it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Interval(BaseModel):
    """A mean score over `n` examples with its 95 % confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float
    n: int
    low: float
    high: float

"""What a run may use at most: calls and minutes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Budget(BaseModel):
    """What a run may use; None is without limit."""

    model_config = ConfigDict(frozen=True)

    max_calls: int | None = None
    max_minutes: float | None = None

    def or_else(self, other: Budget) -> Budget:
        """Return this budget with what it leaves open taken from `other`."""
        return Budget(
            max_calls=self.max_calls if self.max_calls is not None else other.max_calls,
            max_minutes=self.max_minutes if self.max_minutes is not None else other.max_minutes,
        )

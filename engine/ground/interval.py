"""What was measured, with its confidence interval: a mean score, and the gain in a paired test."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Interval(BaseModel):
    """A mean score over `n` examples with its 95 % confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float
    n: int
    low: float
    high: float


class Evidence(BaseModel):
    """The result of a rule's paired test: mean gain, its 95 % interval, and its cost.

    `delta`, `low` and `high` are differences of mean scores (-1..1) between the program with the rule
    and without it; `n` examples were compared; `deltas` maps each example's key to its difference. A test
    that stopped early left out `left_out` examples and so saved `saved_calls`. In both counts of calls, a run
    of the program is one call. `likelihood` is the change in the mean probability of the right answers among
    those that are possible, where the score couldn't tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delta: float
    low: float
    high: float
    n: int
    deltas: dict[str, float] = Field(default_factory=dict)
    calls: int = 0
    left_out: int = 0
    saved_calls: int = 0
    likelihood: Interval | None = None

    @property
    def fixed(self) -> tuple[str, ...]:
        """The keys of the examples that scored higher with the change."""
        return tuple(key for key, delta in self.deltas.items() if delta > 0)

    @property
    def broken(self) -> tuple[str, ...]:
        """The keys of the examples that scored lower with the change."""
        return tuple(key for key, delta in self.deltas.items() if delta < 0)

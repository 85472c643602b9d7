"""Objectives besides the score: how large and how slow a result may be."""

from __future__ import annotations

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.project.gates import Share


class Objectives(FrozenModel):
    """What a result may cost; any of these makes a run look for the smallest set that is as good."""

    max_prompt_tokens: int | None = Field(
        None, ge=1, description="Most tokens that an example's prompts may have, on validation."
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="Longest mean time for an example in milliseconds, asked one at a time."
    )
    max_demonstrations: int | None = Field(
        None, ge=0, description="Most demonstrations that the result may show."
    )
    margin: Share | None = Field(
        None,
        description="Largest loss of score that a smaller set may have, shown by a paired test; by default "
        "0.02, or the smallest that the validation split can show.",
    )

    @property
    def is_wanted(self) -> bool:
        """Whether a run looks for a smaller set at all."""
        return any(value is not None for value in self.model_dump().values())

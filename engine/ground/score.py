"""A metric's verdict on one prediction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Example: TypeAlias = Mapping[str, Any]


class MetricScore(BaseModel):
    """One metric's part of a score: its value (0..1), and whether it counts the answer as right.

    For a metric that is summarized by class, `expected` and `answered` are the classes of both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0.0, le=1.0, allow_inf_nan=False)
    is_success: bool
    expected: str = ""
    answered: str = ""


class Score(BaseModel):
    """One prediction's score: a value in 0..1, whether it counts as right, and what was wrong with it.

    `error_type` names the kind of failure in a few words: batches are stratified by it. `metrics` are the
    parts of a score that is made of several metrics, by their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0.0, le=1.0, allow_inf_nan=False)
    is_success: bool
    feedback: str = ""
    error_type: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, MetricScore] = Field(default_factory=dict)

    def __init__(
        self,
        value: float,
        is_success: bool,
        feedback: str = "",
        error_type: str = "",
        metadata: dict[str, Any] | None = None,
        metrics: dict[str, MetricScore] | None = None,
    ) -> None:
        super().__init__(
            value=value,
            is_success=is_success,
            feedback=feedback,
            error_type=error_type,
            metadata=metadata or {},
            metrics=metrics or {},
        )

    @property
    def plain_metadata(self) -> dict[str, Any]:
        """The metadata as JSON can hold it: what it can't hold as text."""
        return {str(name): json.loads(_as_json(value)) for name, value in self.metadata.items()}


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(str(value))


def _plain(value: Any) -> Any:
    """Return a number of numpy's as a number, a pydantic model as its fields, and anything else as text."""
    if hasattr(type(value), "model_dump"):
        return value.model_dump(mode="json")
    return value.item() if callable(getattr(value, "item", None)) else str(value)


Metric: TypeAlias = Callable[[Example, Any], Score]
"""A callable that takes (example, prediction) and returns a `Score`."""

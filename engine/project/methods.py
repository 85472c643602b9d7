"""The names of the optimizers that can make a base, and what a contest between them is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

MethodName = Literal[
    "labeled_few_shot",
    "knn_few_shot",
    "bootstrap_few_shot",
    "bootstrap_random_search",
    "mipro_v2",
    "simba",
    "gepa",
    "infer_rules",
    "copro",
    "ape",
    "opro",
    "textgrad",
    "self_refine",
]

Contestant = Literal[MethodName, "promptgrad"]

USUAL_CONTESTANTS: tuple[Contestant, ...] = (
    "promptgrad",
    "labeled_few_shot",
    "bootstrap_random_search",
    "mipro_v2",
    "gepa",
    "ape",
    "opro",
    "textgrad",
)
"""Who takes part where nobody is named."""

PACKAGES: dict[str, str] = {"mipro_v2": "optuna", "gepa": "gepa"}
"""The package that a method needs besides DSPy; both come with the extra [optimizers]."""


class ContestPlan(BaseModel):
    """Methods that are compared at the same budget: model calls for each of `seeds` attempts, or minutes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[Contestant, ...]
    seeds: int = 3
    calls: int | None = None
    minutes: float | None = None

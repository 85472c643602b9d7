"""The names of the optimizers that can make a base, and what a contest between them is."""

from __future__ import annotations

from typing import Literal

from engine.ground.frozen_model import FrozenModel

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

ASKS_NOTHING: tuple[MethodName, ...] = ("labeled_few_shot", "knn_few_shot")
"""Who makes no model calls."""

PACKAGES: dict[str, str] = {"mipro_v2": "optuna", "gepa": "gepa"}
"""The package that a method needs besides DSPy; both come with the extra [optimizers]."""


def most_calls(optimizer: MethodName | None, calls: int) -> int:
    """Return how many of its calls an optimizer may use; without one, or if it asks nothing, none."""
    return 0 if optimizer is None or optimizer in ASKS_NOTHING else calls


class ContestPlan(FrozenModel):
    """Methods that are compared at the same budget: model calls for each of `seeds` attempts, or minutes."""

    methods: tuple[Contestant, ...]
    seeds: int = 3
    calls: int | None = None
    minutes: float | None = None

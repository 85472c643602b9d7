"""The names of the optimizers that can make a base; what they do stands in `engine.learning.methods`."""

from __future__ import annotations

from typing import Literal

MethodName = Literal[
    "labeled_few_shot",
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

"""PromptGrad's engine: rules, gradients, validation, the optimizer, the journal and artifacts.

Importing it is cheap: what needs DSPy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.ground.errors import MetricError, PromptGradError
    from engine.ground.score import Metric, Score
    from engine.learning.optimizer import PromptGradOptimizer
    from engine.programs.conditional import ConditionalProgram
    from engine.programs.formatting import ExampleFormatter
    from engine.programs.metrics import built_in_metric
    from engine.programs.rules import ParsedRule
    from engine.project.config import PromptGradConfig
    from engine.release.artifacts import load_artifact

_HOMES = {
    "ConditionalProgram": "engine.programs.conditional",
    "ExampleFormatter": "engine.programs.formatting",
    "Metric": "engine.ground.score",
    "MetricError": "engine.ground.errors",
    "ParsedRule": "engine.programs.rules",
    "PromptGradConfig": "engine.project.config",
    "PromptGradError": "engine.ground.errors",
    "PromptGradOptimizer": "engine.learning.optimizer",
    "Score": "engine.ground.score",
    "built_in_metric": "engine.programs.metrics",
    "load_artifact": "engine.release.artifacts",
}

__all__ = [
    "ConditionalProgram",
    "ExampleFormatter",
    "Metric",
    "MetricError",
    "ParsedRule",
    "PromptGradConfig",
    "PromptGradError",
    "PromptGradOptimizer",
    "Score",
    "built_in_metric",
    "load_artifact",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__

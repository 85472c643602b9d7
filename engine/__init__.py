"""PromptGrad's engine: rules, gradients, validation, the optimizer, the journal and artifacts.

Importing it is cheap: what needs DSPy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.artifacts import load_artifact
    from engine.conditional import ConditionalProgram
    from engine.config import PromptGradConfig
    from engine.errors import PromptGradError
    from engine.formatting import ExampleFormatter
    from engine.optimizer import PromptGradOptimizer
    from engine.rules import ParsedRule
    from engine.score import Metric, Score

_HOMES = {
    "ConditionalProgram": "engine.conditional",
    "ExampleFormatter": "engine.formatting",
    "Metric": "engine.score",
    "ParsedRule": "engine.rules",
    "PromptGradConfig": "engine.config",
    "PromptGradError": "engine.errors",
    "PromptGradOptimizer": "engine.optimizer",
    "Score": "engine.score",
    "load_artifact": "engine.artifacts",
}

__all__ = [
    "ConditionalProgram",
    "ExampleFormatter",
    "Metric",
    "ParsedRule",
    "PromptGradConfig",
    "PromptGradError",
    "PromptGradOptimizer",
    "Score",
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

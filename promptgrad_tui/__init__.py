"""PromptGrad for the terminal: the `promptgrad` command, and the engine's public names."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

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
    "open_model",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it is made."""
    if name == "load_artifact":
        from promptgrad_tui.work.predict.serving import load_artifact

        return load_artifact
    if name == "open_model":
        from models import open_model

        return open_model
    if name not in __all__:
        raise AttributeError(f"module 'promptgrad_tui' has no attribute {name!r}")
    import engine

    return getattr(engine, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__

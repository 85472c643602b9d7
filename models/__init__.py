"""Where a prompt runs: GGUF files in process, Ollama, OpenAI-compatible servers, and the demo model.

Importing this package loads neither DSPy nor llama.cpp; opening a model does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.gguf.openmp import wait_briefly

if TYPE_CHECKING:
    from engine.ground.model import LocalModel, Messages, Progress
    from engine.ground.revision import ModelRevision
    from models.opening import check_models_fit, open_in_process, open_model, read_revision
    from models.settings import ModelSettings

__all__ = [
    "LocalModel",
    "Messages",
    "ModelRevision",
    "ModelSettings",
    "Progress",
    "check_models_fit",
    "open_in_process",
    "open_model",
    "read_revision",
]

wait_briefly()

_HOMES = {
    "LocalModel": "engine.ground.model",
    "Messages": "engine.ground.model",
    "ModelRevision": "engine.ground.revision",
    "ModelSettings": "models.settings",
    "Progress": "engine.ground.model",
    "check_models_fit": "models.opening",
    "open_in_process": "models.opening",
    "open_model": "models.opening",
    "read_revision": "models.opening",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

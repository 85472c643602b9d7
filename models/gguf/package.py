"""Whether llama-cpp-python, through which GGUF files run in process, is installed: it comes as an extra."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from models.errors import ModelError

PACKAGE = "llama-cpp-python"


def is_installed() -> bool:
    """Whether llama-cpp-python can be imported."""
    return find_spec("llama_cpp") is not None


def require_llama_cpp(uri: str) -> None:
    """Refuse a model that runs in process where nothing here can run it.

    Raises:
        ModelError: llama-cpp-python isn't installed.
    """
    if not is_installed():
        raise ModelError(
            f"{uri} runs in this process, through {PACKAGE}, which isn't installed.",
            hint="pip install 'promptgrad-tui[gguf]' brings it, or name the model of a server: "
            "ollama:NAME, openai:URL#NAME.",
        )


def engine_name() -> str:
    """Return the package with its version, as a revision's record has it."""
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return PACKAGE

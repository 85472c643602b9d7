from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.gguf.tiny_model import write_tiny_model
from tests.models.ollama.ollama_server import OllamaServer
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real GGUF of 0.1 M parameters."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the digests of tests apart from the user's."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_args, **_kwargs: str(cache))
    return cache


@pytest.fixture(autouse=True)
def _patient_look_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give servers the time that a busy machine needs to say that they are there."""
    monkeypatch.setattr("models.catalog.served.SERVER_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """An Ollama server that OLLAMA_HOST points to."""
    with OllamaServer() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield server

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_source import SourceUnavailableError, llama_models
from tiny_model import write_tiny_model

from engine.ground.revision import ModelRevision
from models import open_model
from models.gguf.model import GGUFModel
from models.settings import ModelSettings

Open = Callable[..., GGUFModel]


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def real_models(pytestconfig: pytest.Config) -> Path:
    """Vocabularies and templates of real models, kept between runs."""
    assert pytestconfig.cache
    try:
        return llama_models(pytestconfig.cache.mkdir("llama-cpp-python"))
    except SourceUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def open_tiny(tiny_path: Path) -> Iterator[Open]:
    opened: list[GGUFModel] = []

    def open_(path: Path = tiny_path, log_file: Path | None = None, **settings: Any) -> GGUFModel:
        revision = ModelRevision("gguf", "sha256:" + "0" * 64)
        settings = {"threads": 1, **settings}
        opened.append(
            GGUFModel(path, revision=revision, settings=ModelSettings(**settings), log_file=log_file)
        )
        return opened[-1]

    yield open_
    for model in opened:
        model.close()


@pytest.fixture
def tiny(open_tiny: Open) -> GGUFModel:
    return open_tiny()


@pytest.fixture
def endless(tmp_path: Path, open_tiny: Open) -> GGUFModel:
    """A model that never ends by itself, with room for a very long answer."""
    path = write_tiny_model(tmp_path / "endless.gguf", context=65_536, ends=False)
    return open_tiny(path, context_length=65_536)


@pytest.fixture(scope="session")
def demo() -> Iterator[GGUFModel]:
    """The demo model, which is sure of itself: random weights tip ties."""
    with open_model("demo") as model:
        assert isinstance(model, GGUFModel)
        yield model

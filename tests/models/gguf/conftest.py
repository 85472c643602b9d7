from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_model import write_tiny_model

from models.gguf import GGUFModel
from models.revision import ModelRevision
from models.settings import ModelSettings

Open = Callable[..., GGUFModel]


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


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

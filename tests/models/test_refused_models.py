"""Models that can't be used, as people come upon them: each is refused with the reason and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import open_model
from models.catalog.discovery import find_models
from models.errors import ModelError
from tests.models.gguf_files import MODEL, write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer

FILES = {
    "an embedding model": ({"general.architecture": "bert", "bert.pooling_type": 1}, "an embedding model"),
    "an embedding model with a chat template": ({"qwen3.pooling_type": 3}, "an embedding model"),
    "a reranker": ({"qwen3.pooling_type": 4}, "a reranker"),
    "an image model": ({"general.architecture": "flux"}, "it makes images"),
    "a projector": ({"general.architecture": "clip", "general.type": "mmproj"}, "a projector"),
    "an adapter": ({"general.type": "adapter"}, "an adapter"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_writes_no_text_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    metadata, reason = FILES[name]
    path = write_model(tmp_path / "a.gguf", {**MODEL, **metadata})
    with pytest.raises(ModelError, match=reason) as refused:
        open_model(f"gguf:{path}")
    assert "`promptgrad models`" in refused.value.hint


def test_a_list_of_models_says_which_write_no_text(tmp_path: Path) -> None:
    write_model(tmp_path / "embed.gguf", {**MODEL, "qwen3.pooling_type": 3})
    write_model(tmp_path / "write.gguf")
    found = {model.name: model.problem for model in find_models(tmp_path, environ={}, home=tmp_path / "home")}
    assert "an embedding model" in found["embed"]
    assert found["write"] == ""


@pytest.mark.parametrize(
    ("uri", "said", "fix"),
    [
        ("gguf:pointer.gguf", "is a Git LFS pointer", "git lfs pull"),
        ("gguf:folder", "is a folder", "there is one.gguf, two.gguf"),
        ("file:///models/a.gguf", "isn't a model URI", "Write gguf:/models/a.gguf"),
        ("hf:owner/repository", "isn't on this machine", "promptgrad models pull hf:owner/repository"),
    ],
)
def test_what_is_no_model_says_what_it_is(tmp_path: Path, uri: str, said: str, fix: str) -> None:
    (tmp_path / "pointer.gguf").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )
    for name in ("one", "two"):
        write_model(tmp_path / "folder" / f"{name}.gguf")
    with pytest.raises(ModelError, match=said) as refused:
        open_model(uri, project_dir=tmp_path)
    assert fix in refused.value.hint


def test_a_model_of_ollama_that_writes_no_text_is_refused(ollama: OllamaServer) -> None:
    ollama.models = [FakeModel("embed:latest", capabilities=("embedding",))]
    with pytest.raises(ModelError, match="writes no text, only embedding"):
        open_model("ollama:embed")
    assert not ollama.loads
    [found] = [model for model in find_models(None) if model.uri == "ollama:embed:latest"]
    assert "only embedding" in found.problem

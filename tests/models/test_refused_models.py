"""Models that can't be used, as people come upon them: each is refused with the reason and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from dspy.utils.exceptions import LMUnsupportedModelError

from models import open_model
from models.catalog.describing import describe_model
from models.catalog.discovery import find_models
from models.embedding.opening import open_embedder
from models.errors import ModelError, ModelUriError
from tests.models.gguf_files import MODEL, write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer

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
    write_model(tmp_path / "paint.gguf", {"general.architecture": "flux", "general.file_type": 15})
    write_model(tmp_path / "write.gguf")
    found = {model.name: model.problem for model in find_models(tmp_path, environ={}, home=tmp_path / "home")}
    assert "an embedding model" in found["embed"]
    assert found["paint"] == "It can't be used: it makes images and writes no text."
    assert found["write"] == ""


def test_a_folder_that_is_named_as_a_model_is_called_one_wherever_it_is_asked_about(tmp_path: Path) -> None:
    write_model(tmp_path / "folder" / "one.gguf")
    with pytest.raises(ModelUriError, match="is a folder") as refused:
        describe_model("gguf:folder", tmp_path)
    assert "there is one.gguf" in refused.value.hint
    [listed] = [model for model in find_models(tmp_path, ["gguf:folder"], environ={}) if model.problem]
    assert (listed.name, listed.problem) == ("gguf:folder", f"{tmp_path / 'folder'} is a folder.")
    with pytest.raises(ModelUriError, match="is a folder"):
        open_embedder("gguf:folder", project_dir=tmp_path)


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


def test_an_embedding_model_of_lm_studio_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    details = {"type": "embeddings", "arch": "nomic-bert"}
    with OpenAIServer(is_lm_studio=True, details=details) as server:
        uri = f"openai:{server.endpoint}#qwen3"
        with pytest.raises(ModelError, match="turns texts into vectors") as refused:
            open_model(uri)
        assert "`promptgrad models`" in refused.value.hint
        assert not server.chats
        [found] = [model for model in find_models(tmp_path, [uri], environ={}) if model.uri == uri]
        assert "an embedding model" in found.problem
        with open_embedder(uri) as embedder:
            assert embedder.embed(["a"]) == [[1.0, 0.0]]


def test_a_llama_server_that_runs_an_embedding_model_says_so_at_once() -> None:
    reason = "This server does not support completions. Start it without `--embeddings`"
    refusal = {"error": {"code": 501, "message": reason, "type": "not_supported_error"}}
    with (
        OpenAIServer(refusal=refusal, refusal_status=501) as server,
        open_model(f"openai:{server.endpoint}#qwen3") as model,
        pytest.raises(LMUnsupportedModelError, match="does not support completions"),
    ):
        model.lm("hello")
    assert server.paths.count("/v1/chat/completions") == 1

"""A look at the prompt that Ollama makes: it loads nothing again, and shows the whole prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import open_model
from models.ollama.model import OllamaModel
from tests.models.ollama.ollama_server import FakeModel, OllamaServer

QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture
def blob(tiny_gguf: Path) -> Path:
    """The tiny model under the name that Ollama gives to its files."""
    path = tiny_gguf.with_name(f"sha256-{'ab' * 32}")
    if not path.exists():
        path.symlink_to(tiny_gguf)
    return path


def opened() -> OllamaModel:
    model = open_model("ollama:qwen3:4b")
    assert isinstance(model, OllamaModel)
    return model


def test_a_look_at_a_prompt_leaves_the_model_in_memory_as_it_is(ollama: OllamaServer, blob: Path) -> None:
    ollama.models = [FakeModel("qwen3:4b", blob=blob)]
    with opened() as model:
        model.lm("hello")
        assert model.render(QUESTION) == "<user>hello<end>"
        assert model.count_prompt_tokens(QUESTION) > 1
        assert model.can_score
        model.lm("hello")
    assert ollama.reloads == 0
    assert ollama.contexts["qwen3:4b"] == 8192


def test_another_programs_request_does_load_it_again(ollama: OllamaServer) -> None:
    with opened() as model:
        ollama.contexts["qwen3:4b"] = 4096  # as a request without options leaves it
        model.lm("hello")
    assert ollama.reloads == 1


def test_a_prompt_beyond_ollamas_own_context_is_counted_to_its_end(ollama: OllamaServer, blob: Path) -> None:
    ollama.models = [FakeModel("qwen3:4b", blob=blob)]
    messages = [{"role": role, "content": "the " * 2000} for role in ("user", "assistant", "user")]
    with opened() as model:
        rendered = model.render(messages)
        assert rendered is not None
        assert rendered.count("the") == 6000
        assert model.count_prompt_tokens(messages) > 6000

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ModelUriError
from models.uri import DemoUri, GGUFUri, OllamaUri, OpenAIUri, parse_uri


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("demo", DemoUri()),
        ("gguf:model.gguf", GGUFUri(Path("/project/model.gguf"))),
        ("gguf:/models/model.gguf", GGUFUri(Path("/models/model.gguf"))),
        ("ollama:qwen3", OllamaUri("qwen3:latest")),
        ("ollama:qwen3:4b", OllamaUri("qwen3:4b")),
        ("ollama:hf.co/owner/repo:Q4_K_M", OllamaUri("hf.co/owner/repo:Q4_K_M")),
        ("ollama:localhost:5000/team/model", OllamaUri("localhost:5000/team/model:latest")),
        ("openai:http://host:8080/v1#name", OpenAIUri(("http://host:8080/v1",), "name")),
        (
            "openai:http://a/v1/, https://b/v1#org/name",
            OpenAIUri(("http://a/v1", "https://b/v1"), "org/name"),
        ),
    ],
)
def test_what_a_uri_names(uri: str, target: object) -> None:
    assert parse_uri(uri, Path("/project")) == target


def test_a_home_folder_is_expanded() -> None:
    target = parse_uri("gguf:~/model.gguf", Path("/project"))
    assert isinstance(target, GGUFUri)
    assert target.path == Path.home() / "model.gguf"


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("", "gguf:PATH"),
        ("gpt-4", "promptgrad models"),
        ("gguf:", "gguf:PATH"),
        ("ollama:", "ollama:NAME"),
        ("ollama:two words", "ollama:NAME"),
        ("demo:x", "demo"),
        ("models/tiny.gguf", "Write gguf:models/tiny.gguf"),
        ("hf:owner/repo/file.gguf", "promptgrad models pull hf:owner/repo/file.gguf"),
        ("hf:owner/repo:Q4_K_M", "promptgrad models pull hf:owner/repo:Q4_K_M"),
        ("hf:owner", "hf:OWNER/REPO"),
        ("hf:owner/repo/../../x.gguf", "hf:OWNER/REPO"),
        ("file:///models/my%20model.gguf", "Write gguf:/models/my model.gguf"),
        ("openai:http://host/v1", "#NAME"),
        ("openai:ftp://host/v1#name", "http://"),
        ("openai:http://user:secret@host/v1#name", "PROMPTGRAD_API_KEY"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(uri: str, hint: str) -> None:
    with pytest.raises(ModelUriError) as caught:
        parse_uri(uri)
    assert hint in caught.value.hint
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 2

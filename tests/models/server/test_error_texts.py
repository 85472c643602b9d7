"""What servers say is wrong, as a person reads it."""

from __future__ import annotations

import json

import pytest
from dspy import lm15

from models import open_model
from models.embedding.opening import open_embedder
from models.errors import ModelError
from models.openai.model import OpenAIModel
from models.server.error_texts import error_status, error_text
from tests.models.ollama.ollama_server import below
from tests.models.openai.openai_server import OpenAIServer

TOO_LONG = "request (6030 tokens) exceeds the available context size (4096 tokens)"
INNER = below(400, TOO_LONG, "exceed_context_size_error")


@pytest.mark.parametrize(
    ("body", "text", "status"),
    [
        ('{"error": "model \'nope\' not found"}', "model 'nope' not found", 500),
        ('{"error": {"code": 400, "message": "No such option."}}', "No such option", 400),
        (json.dumps({"error": INNER}), TOO_LONG, 400),  # Ollama, of the llama-server below it
        (json.dumps({"error": {"message": INNER, "type": "invalid_request_error"}}), TOO_LONG, 400),
        ('{"detail": "Not Found"}', "Not Found", 500),
        ('{"message": "failed:\\n  a line\\n  more"}', "failed: a line more", 500),
        ("404 page not found", "404 page not found", 500),
        ("", "", 500),
    ],
)
def test_the_reason_is_found_wherever_a_server_puts_it(body: str, text: str, status: int) -> None:
    assert error_text(body) == text
    assert error_status(body, 500) == status


@pytest.fixture
def nested() -> OpenAIServer:
    """Ollama's `/v1`, which refuses everything with an error from below it."""
    return OpenAIServer(refusal={"error": {"message": INNER, "type": "invalid_request_error"}})


def test_an_answer_that_is_refused_says_why_in_words(nested: OpenAIServer) -> None:
    request = lm15.Request(model="m", messages=(lm15.Message.user("hello"),))
    with (
        nested as server,
        open_model(f"openai:{server.endpoint}#qwen3") as model,
        pytest.raises(lm15.ContextLengthError) as refused,
    ):
        model.lm.engine.complete(request)
    assert f"{TOO_LONG}. " in str(refused.value)
    assert "{" not in str(refused.value)


def test_a_score_that_is_refused_says_why_in_words(nested: OpenAIServer) -> None:
    nested.refusal = {"error": {"message": below(400, "No such option.", "invalid_request_error")}}
    with nested as server, open_model(f"openai:{server.endpoint}#qwen3") as model:
        assert isinstance(model, OpenAIModel)
        with pytest.raises(ModelError, match=r"answers 400: No such option\.") as refused:
            model.score([{"role": "user", "content": "?"}], ["yes", "no"])
    assert "{" not in str(refused.value)


def test_vectors_that_are_refused_say_why_in_words(nested: OpenAIServer) -> None:
    nested.refusal = {"error": {"message": below(400, "No embeddings.", "invalid_request_error")}}
    with (
        nested as server,
        open_embedder(f"openai:{server.endpoint}#qwen3") as embedder,
        pytest.raises(ModelError, match=r"the server answers 400: No embeddings\.") as refused,
    ):
        embedder.embed(["a"])
    assert "{" not in refused.value.message

"""How each server describes its model, and what comes of it: a revision and a context, or an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from engine.ground.revision import ModelRevision, sha256_of
from models import ModelSettings, open_model
from models.errors import ModelError
from models.openai.model import OpenAIModel
from models.settings import DEFAULT_CONTEXT
from tests.models.openai.openai_server import OpenAIServer

TEMPLATE = "{{ messages }}"
PROPS = {
    "model_path": "/models/qwen3.gguf",
    "default_generation_settings": {"n_ctx": 4096},
    "chat_template": TEMPLATE,
    "build_info": "b6000",
}
WEIGHTS = {"n_params": 600_000_000, "size": 400_000_000}


@dataclass(frozen=True)
class Opened:
    """What comes of a server's answers; an unverified revision is the hash of what it says of the weights."""

    named: dict[str, Any]
    weights: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    template: str | None = None
    engine: str = ""
    context: int = DEFAULT_CONTEXT

    @property
    def revision(self) -> ModelRevision:
        named = {"id": "qwen3", "root": None, "owned_by": None} | self.named
        description = json.dumps([named, self.weights, self.path], sort_keys=True)
        return ModelRevision(
            kind="openai",
            digest=sha256_of(description).replace("sha256:", "unverified:"),
            template_digest=sha256_of(self.template) if self.template else None,
            name="qwen3",
            engine=self.engine,
        )


LLAMA_SERVER = Opened(
    {"owned_by": "llamacpp"}, WEIGHTS, "/models/qwen3.gguf", TEMPLATE, engine="b6000", context=4096
)

SHAPES: dict[str, tuple[partial[OpenAIServer], Opened]] = {
    "llama-server": (
        partial(OpenAIServer, entry={"meta": {**WEIGHTS, "n_ctx": 32_768}}, props=PROPS),
        LLAMA_SERVER,  # the context of a slot, not of the whole server
    ),
    "llama-server that is still loading": (
        partial(OpenAIServer, entry={"meta": WEIGHTS}, props=PROPS, loading=2),
        LLAMA_SERVER,
    ),
    "llama-server as a router": (
        partial(OpenAIServer, entry={"meta": WEIGHTS}, props=PROPS, is_router=True),
        LLAMA_SERVER,
    ),
    "llama-server as a router of a version that lists no metadata": (
        partial(OpenAIServer, props=PROPS, is_router=True),
        Opened({"owned_by": "llamacpp"}, {}, "/models/qwen3.gguf", TEMPLATE, engine="b6000", context=4096),
    ),
    "llama-server as a router that says the context in its command line alone": (
        partial(OpenAIServer, entry={"meta": WEIGHTS}, is_router=True),
        Opened({"owned_by": "llamacpp"}, WEIGHTS, engine="llamacpp", context=2048),
    ),
    "llama-server without /props": (
        partial(OpenAIServer, entry={"meta": {**WEIGHTS, "n_ctx": 4096}}),
        Opened({"owned_by": "llamacpp"}, WEIGHTS, engine="llamacpp", context=4096),
    ),
    "vLLM": (
        partial(OpenAIServer, owned_by="vllm", entry={"root": "owner/qwen3", "max_model_len": 2048}),
        Opened({"owned_by": "vllm", "root": "owner/qwen3"}, engine="vllm", context=2048),
    ),
    "LM Studio, which has to load it": (
        partial(
            OpenAIServer,
            owned_by="organization_owner",
            is_lm_studio=True,
            details={"type": "llm", "arch": "qwen3", "quantization": "Q4_K_M"},
        ),
        Opened(
            {"owned_by": "organization_owner", "arch": "qwen3", "quantization": "Q4_K_M"},
            engine="organization_owner",
            context=4096,
        ),
    ),
    "llama_cpp.server": (partial(OpenAIServer, owned_by="me"), Opened({"owned_by": "me"}, engine="me")),
    "Ollama's own /v1": (
        partial(OpenAIServer, owned_by="library"),
        Opened({"owned_by": "library"}, engine="library"),
    ),
}

ERRORS: dict[str, tuple[partial[OpenAIServer], str, str, str]] = {
    "another name": (partial(OpenAIServer), "/v1#llama", "has no model 'llama'", "It serves: qwen3."),
    "another protocol": (
        partial(OpenAIServer),
        "/wrong#qwen3",
        "speak OpenAI's protocol",
        "correct the address",
    ),
    "a missing key": (
        partial(OpenAIServer, key="secret"),
        "/v1#qwen3",
        "wants a key",
        "Set PROMPTGRAD_API_KEY",
    ),
    "a proxy without a server": (
        partial(OpenAIServer, down=True),
        "/v1#qwen3",
        "answers 503: Loading model",
        "Its own log",
    ),
    "a router that can't load it": (
        partial(OpenAIServer, is_router=True, loads=False),
        "/v1#qwen3",
        "can't load qwen3",
        "Its own log says why",
    ),
    "a server that loads for ever": (
        partial(OpenAIServer, entry={"meta": WEIGHTS}, props=PROPS, loading=1_000_000),
        "/v1#qwen3",
        "doesn't say what qwen3 is within 0.3 s",
        "timeout_seconds",
    ),
    "an embedding model in LM Studio": (
        partial(OpenAIServer, is_lm_studio=True, details={"type": "embeddings"}),
        "/v1#qwen3",
        "an embedding model",
        "Choose a model that writes text",
    ),
}


@pytest.fixture(autouse=True)
def _looks_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.openai.api.LOOK_AGAIN_SECONDS", 0.0)


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_server_says_of_its_model_is_used(name: str) -> None:
    make, expected = SHAPES[name]
    with make() as server, open_model(f"openai:{server.endpoint}#qwen3") as model:
        assert isinstance(model, OpenAIModel)
        assert model.revision.as_dict() == expected.revision.as_dict()
        assert model.context_length == expected.context
        model.verify_revision()


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_opened_says_why_and_what_to_do(name: str) -> None:
    make, path, problem, fix = ERRORS[name]
    server = make()
    settings = ModelSettings(timeout_seconds=0.3 if server.loading else 600)
    with server, pytest.raises(ModelError) as refused:
        open_model(f"openai:{server.endpoint.removesuffix('/v1')}{path}", settings=settings)
    assert problem in refused.value.message
    assert fix in refused.value.hint

"""Servers that load or restart: opening waits for them, and none of it makes another model of theirs."""

from __future__ import annotations

from typing import Any

import pytest
from dspy import lm15

from models import ModelSettings, open_model, read_revision
from models.embedding.opening import open_embedder
from models.errors import RevisionMovedError, ServerError
from models.openai.model import OpenAIModel
from tests.models.openai.openai_server import OpenAIServer

PROPS = {
    "model_path": "/models/qwen3.gguf",
    "default_generation_settings": {"n_ctx": 4096},
    "chat_template": "{{ messages }}",
    "build_info": "b6000",
}
META: dict[str, Any] = {"meta": {"n_params": 600_000_000, "size": 400_000_000, "n_ctx": 4096}}
ANSWER = '{"answer": "yes"}'


@pytest.fixture(autouse=True)
def _looks_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.openai.api.LOOK_AGAIN_SECONDS", 0.0)


def llama_server(**more: Any) -> OpenAIServer:
    return OpenAIServer(entry=META, props=dict(PROPS), **more)


def opened(server: OpenAIServer, said: list[str] | None = None, **settings: Any) -> OpenAIModel:
    model = open_model(
        f"openai:{server.endpoint}#qwen3",
        settings=ModelSettings(**settings),
        on_progress=lambda sentence, _fraction: (said if said is not None else []).append(sentence),
    )
    assert isinstance(model, OpenAIModel)
    return model


def once(model: OpenAIModel) -> str | None:
    """Ask without DSPy's retries."""
    request = lm15.Request(model="m", messages=(lm15.Message.user("hello"),))
    response = model.lm.engine.complete(request)
    assert isinstance(response, lm15.Response)
    return response.text


@pytest.mark.parametrize("fault", [{"loading": 3}, {"failing_props": 2}], ids=str)
def test_opening_waits_until_the_server_says_what_it_has_loaded(fault: dict[str, int]) -> None:
    said: list[str] = []
    with llama_server() as server, opened(server) as expected:
        pass
    with llama_server(**fault) as server, opened(server, said) as model:
        assert model.revision == expected.revision
        assert model.context_length == 4096
        assert once(model) == ANSWER
    assert said == [f"Waiting for {server.endpoint} to load qwen3", f"{server.endpoint} has loaded qwen3"]


def test_a_revision_that_is_read_of_a_loading_server_is_waited_for_with_a_message() -> None:
    said: list[str] = []
    with llama_server() as server, opened(server) as model:
        server.loading = 2
        uri = f"openai:{server.endpoint}#qwen3"
        revision = read_revision(uri, on_progress=lambda sentence, _fraction: said.append(sentence))
        assert revision == model.revision
    assert said[0] == f"Waiting for {server.endpoint} to load qwen3"


def test_a_server_that_loads_for_ever_is_an_error_that_says_so() -> None:
    with (
        llama_server(loading=1_000_000) as server,
        pytest.raises(ServerError, match=r"doesn't say what qwen3 is within 0\.2 s") as refused,
    ):
        opened(server, timeout_seconds=0.2)
    assert "timeout_seconds" in refused.value.hint


def test_a_server_that_is_ready_is_not_waited_for() -> None:
    said: list[str] = []
    with llama_server() as server, opened(server, said):
        pass
    assert said == []


@pytest.mark.parametrize("fault", ["loading", "failing_props"])
def test_a_restart_between_two_answers_is_no_move(fault: str) -> None:
    with llama_server() as server, opened(server) as model:

        def restart(_body: dict[str, Any]) -> str:
            setattr(server, fault, 1)
            return ANSWER

        server.answer = restart
        assert once(model) == ANSWER
        server.answer, server.is_loading = None, False  # it has loaded it by the next request
        assert once(model) == ANSWER
        setattr(server, fault, 2)
        model.verify_revision()


def test_a_restart_with_another_model_is_a_move() -> None:
    with llama_server() as server, opened(server) as model:
        server.loading, server.props = 1, {**PROPS, "model_path": "/models/other.gguf"}
        with pytest.raises(RevisionMovedError, match="is now"):
            model.verify_revision()


def test_a_server_that_loads_beside_one_that_is_ready_describes_nothing_else() -> None:
    with llama_server() as one, llama_server() as two:
        uri = f"openai:{one.endpoint},{two.endpoint}#qwen3"
        with open_model(uri) as model:
            assert isinstance(model, OpenAIModel)
            two.loading = 1
            assert once(model) == ANSWER


def test_a_router_and_lm_studio_are_waited_for_with_a_message() -> None:
    for server in (llama_server(is_router=True), OpenAIServer(is_lm_studio=True)):
        said: list[str] = []
        with server, opened(server, said) as model:
            assert model.context_length == 4096
        assert said[0] == f"Waiting for {server.endpoint} to load qwen3"


def test_a_router_that_tells_no_metadata_describes_what_it_has_loaded() -> None:
    with OpenAIServer(is_router=True, props=dict(PROPS)) as router, opened(router) as model:
        assert model.context_length == 4096
        router.is_loaded = False
        assert once(model) == ANSWER
        router.props = {**PROPS, "model_path": "/models/other.gguf"}
        with pytest.raises(RevisionMovedError, match="is now"):
            once(model)


def test_a_router_that_unloads_an_embedding_model_for_the_tasks_keeps_its_revision() -> None:
    with llama_server(is_router=True) as router, open_embedder(f"openai:{router.endpoint}#qwen3") as embedder:
        assert router.is_loaded
        router.is_loaded = False
        assert embedder.embed(["a", "b"]) == [[1.0, 0.0], [1.0, 1.0]]
        embedder.verify_revision()
        router.is_loaded, router.props = True, {**PROPS, "model_path": "/models/other.gguf"}
        with pytest.raises(RevisionMovedError):
            embedder.embed(["a"])


def test_another_quantization_in_lm_studio_is_another_model() -> None:
    with OpenAIServer(is_lm_studio=True, is_loaded=True) as server:
        server.details = {"arch": "qwen3", "quantization": "Q4_K_M"}
        with opened(server) as model:
            server.details = {"arch": "qwen3", "quantization": "Q8_0"}
            with pytest.raises(RevisionMovedError, match="is now"):
                once(model)


def test_an_answer_that_is_taken_from_the_thoughts_is_said() -> None:
    said: list[str] = []
    asked = {"type": "json_schema", "schema": {"type": "object", "required": ["queue"]}}
    thinker = OpenAIServer(thought='{"queue": "billing"}', default_answer="")
    with thinker as server, opened(server, said) as model:
        config = lm15.Config(response_format=asked)
        request = lm15.Request(model="m", messages=(lm15.Message.user("hello"),), config=config)
        assert model.lm.engine.complete(request).text == '{"queue": "billing"}'
    assert said == ["qwen3 answers where it should think; its thoughts fit, and are taken"]

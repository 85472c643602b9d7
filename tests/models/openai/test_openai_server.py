"""OpenAI-compatible servers, one or several, through `open_model`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMAuthError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)

from models import ModelSettings, open_model
from models.cancelled import RequestCancelledError
from models.errors import ModelUriError, RevisionMovedError, ServerError
from models.openai.model import OpenAIModel
from tests.models.openai.openai_server import OpenAIServer
from tests.patience import PATIENCE_SECONDS

PROPS = {
    "model_path": "/models/qwen3.gguf",
    "default_generation_settings": {"n_ctx": 4096},
    "chat_template": "{{ messages }}",
    "build_info": "b6000",
}

NEVER = 3600.0
"""Seconds that no test lasts."""


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def opened(*servers: OpenAIServer, settings: ModelSettings | None = None) -> OpenAIModel:
    endpoints = ",".join(server.endpoint for server in servers)
    model = open_model(f"openai:{endpoints}#qwen3", settings=settings)
    assert isinstance(model, OpenAIModel)
    return model


def once(model: OpenAIModel, text: str = "hello", **config: Any) -> lm15.Response:
    """Ask without DSPy's retries."""
    request = lm15.Request(model="m", messages=(lm15.Message.user(text),), config=lm15.Config(**config))
    response = model.lm.engine.complete(request)
    assert isinstance(response, lm15.Response)
    return response


def test_an_answer_comes_through_dspy_with_a_schema(server: OpenAIServer) -> None:
    server.answers.append('{"queue": "billing"}')
    with opened(server) as model, dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        assert dspy.Predict("ticket -> queue")(ticket="I paid twice").queue == "billing"
    wanted = server.chats[-1]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["required"] == ["queue"]


def test_two_texts_of_a_message_are_the_lines_that_a_model_in_this_process_reads(
    server: OpenAIServer,
) -> None:
    message = lm15.Message.user([lm15.TextPart("First."), lm15.TextPart("Second.")])
    with opened(server) as model:
        model.lm.engine.complete(lm15.Request(model="m", messages=(message,)))
    assert server.chats[-1]["messages"] == [{"role": "user", "content": "First.\nSecond."}]


def test_llama_cpp_server_gets_the_schema_in_its_own_form() -> None:
    with OpenAIServer(owned_by="me") as server, opened(server) as model:
        once(model, response_format={"type": "json_schema", "schema": {"type": "object"}})
    assert server.chats[-1]["response_format"] == {"type": "json_object", "schema": {"type": "object"}}


def test_any_json_is_sent_as_a_schema(server: OpenAIServer) -> None:
    with opened(server) as model:
        once(model, response_format={"type": "json_object"})
    assert server.chats[-1]["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_nothing_is_left_to_the_servers_defaults(server: OpenAIServer) -> None:
    settings = ModelSettings(max_tokens=77, top_k=5, top_p=0.5, min_p=0.1, seed=9, think=True)
    with opened(server, settings=settings) as model:
        model.lm("hello", temperature=0.7, seed=4, stop=["END"])
    body = server.chats[-1]
    sent = {
        key: body[key] for key in ("temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "stop")
    }
    assert sent == {
        "temperature": 0.7,
        "top_p": 0.5,
        "top_k": 5,
        "min_p": 0.1,
        "seed": 4,
        "max_tokens": 77,
        "stop": ["END"],
    }
    assert body["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_server_gets_the_penalty_and_the_templates_variables_that_are_set(server: OpenAIServer) -> None:
    settings = ModelSettings(repeat_penalty=1.3, template_switches={"today": "1 May"})
    with opened(server, settings=settings) as model:
        model.lm("hello")
    body = server.chats[-1]
    assert body["repeat_penalty"] == body["repetition_penalty"] == 1.3  # llama-server's word, and vLLM's
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "today": "1 May"}


def test_an_answer_tells_its_thought_its_length_and_its_cost(server: OpenAIServer) -> None:
    server.thought, server.default_answer = "Let me see.", "one two three"
    with opened(server) as model:
        response = once(model, "a b", max_tokens=2)
    thought, answer = response.message.parts
    assert (thought.type, thought.text, answer.text) == ("thinking", "Let me see.", "one two")
    assert response.finish_reason == "length"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 2)


def streamed(model: OpenAIModel, text: str = "hello", **config: Any) -> Iterator[Any]:
    request = lm15.Request(model="m", messages=(lm15.Message.user(text),), config=lm15.Config(**config))
    return model.lm.engine.stream(request)  # type: ignore[no-any-return]


def test_a_stream_is_read_while_the_server_writes(server: OpenAIServer) -> None:
    server.gate, server.default_answer = threading.Semaphore(2), "one two three"
    with opened(server) as model:
        events = streamed(model)
        begun = [next(events).type, next(events).delta.text, next(events).delta.text]
        assert begun == ["start", "one", " two"]  # and the server still waits to write the third
        server.gate.release()
        assert next(events).delta.text == " three"
        assert next(events).finish_reason == "stop"


@pytest.mark.parametrize("thought", ["", "Let me see."])
def test_a_stream_says_what_an_answer_in_one_piece_says(server: OpenAIServer, thought: str) -> None:
    server.thought, server.default_answer = thought, "the the \u00e4 </s> <think> the\n end " + 150 * "no "
    with opened(server) as model:
        whole = once(model, "a b", max_tokens=120)
        request = lm15.Request(
            model="m", messages=(lm15.Message.user("a b"),), config=lm15.Config(max_tokens=120)
        )
        joined = lm15.materialize_response(streamed(model, "a b", max_tokens=120), request)
    assert joined.message == whole.message
    assert joined.finish_reason == whole.finish_reason == "length"
    assert joined.usage == whole.usage
    assert (joined.usage.input_tokens, joined.usage.output_tokens) == (2, 120)
    assert [body.get("stream", False) for body in server.chats] == [False, True]


def test_usage_that_a_server_does_not_tell_is_not_made_up(server: OpenAIServer) -> None:
    server.tells_usage = False
    with opened(server) as model:
        end = list(streamed(model))[-1]
    assert (end.finish_reason, end.usage.input_tokens, end.usage.output_tokens) == ("stop", None, None)


@pytest.mark.parametrize(
    ("fault", "said"), [("cut", "stopped in the middle"), ("error", "answers: out of memory")]
)
def test_a_stream_that_breaks_is_an_error_after_what_came(
    server: OpenAIServer, fault: str, said: str
) -> None:
    server.default_answer, server.fault, server.fault_after = "one two three", fault, 2
    came: list[Any] = []
    with OpenAIServer(default_answer="another") as other, opened(server, other) as model:
        other.broken = 100  # else it may be asked first
        with pytest.raises(lm15.TransportError, match=said):
            came.extend(streamed(model))
    assert [event.delta.text for event in came[1:]] == ["one", " two"]


@pytest.mark.parametrize("fault", ["cut", "error"])
def test_another_server_takes_over_before_the_first_word(server: OpenAIServer, fault: str) -> None:
    server.fault = fault
    with OpenAIServer() as other, opened(server, other) as model:
        for _ in range(4):
            assert [event.delta.text for event in streamed(model) if event.type == "delta"] == [
                '{"answer":',
                ' "yes"}',
            ]
    assert other.chats


def test_closing_a_stream_ends_its_request(server: OpenAIServer) -> None:
    server.gate, server.default_answer = threading.Semaphore(1), "one two three"
    with opened(server) as model:
        events = streamed(model)
        assert [next(events).type, next(events).type] == ["start", "delta"]
        events.close()  # type: ignore[attr-defined]
        server.gate.release(100)
        assert once(model).text == "one two three"


def test_the_revision_is_never_called_verified(server: OpenAIServer) -> None:
    with opened(server) as model, opened(server) as again:
        assert not model.revision.verified
        assert model.revision.digest.startswith("unverified:")
        assert model.revision == again.revision  # though `created` differs each time


def test_llama_server_counts_tokens() -> None:
    with OpenAIServer(props=PROPS, counts_tokens=True) as server, opened(server) as model:
        assert model.exact_token_counts
        assert model.count_tokens("one two three") == 3
        assert model.count_prompt_tokens([{"role": "user", "content": "one two"}]) > 2


def test_tokens_that_no_server_counts_are_estimated() -> None:
    with OpenAIServer(owned_by="vllm") as server, opened(server) as model:
        assert not model.exact_token_counts
        assert model.count_tokens("one two three") >= 3


def test_vllm_is_asked_for_no_more_than_its_context_holds() -> None:
    with OpenAIServer(owned_by="vllm", entry={"max_model_len": 2048}) as server, opened(server) as model:
        once(model, "hello", max_tokens=4000)
        once(model, "word " * 1900, max_tokens=4000)
        once(model, "hello", max_tokens=20)
    short, long, modest = (body["max_tokens"] for body in server.chats)
    assert 1900 < short < 2048
    assert 0 < long < 300
    assert modest == 20


def test_a_larger_context_is_no_other_model() -> None:
    meta = {"n_params": 600_000_000, "size": 400_000_000}
    with (
        OpenAIServer(entry={"meta": meta | {"n_ctx": 2048}}) as one,
        OpenAIServer(entry={"meta": meta | {"n_ctx": 4096}}) as two,
        OpenAIServer(entry={"meta": meta | {"n_params": 1}}) as three,
        opened(one) as small,
        opened(two) as large,
        opened(three) as other,
    ):
        assert small.revision == large.revision != other.revision


def test_another_model_under_the_same_name_is_noticed() -> None:
    with OpenAIServer(props=dict(PROPS)) as server, opened(server) as model:
        model.verify_revision()
        assert server.props
        server.props["model_path"] = "/models/other.gguf"
        with pytest.raises(RevisionMovedError, match="is now"):
            model.verify_revision()


def test_an_answer_of_another_model_under_the_name_never_counts() -> None:
    def restart(_body: dict[str, Any]) -> str:
        server.props = {**PROPS, "model_path": "/models/other.gguf"}
        return "other"

    with OpenAIServer(props=dict(PROPS), answer=restart) as server, opened(server) as model:
        with pytest.raises(RevisionMovedError, match="is now"):
            once(model)
        server.props, server.answer = dict(PROPS), None
        assert once(model).text == '{"answer": "yes"}'


def test_another_template_is_another_model() -> None:
    with OpenAIServer(props=dict(PROPS)) as server, opened(server) as model:
        server.props = {**PROPS, "chat_template": "{{ other }}"}
        with pytest.raises(RevisionMovedError, match="another chat template"):
            model.verify_revision()
        with pytest.raises(RevisionMovedError, match="another chat template"):
            once(model)


META: dict[str, Any] = {"meta": {"n_params": 600_000_000, "size": 400_000_000, "n_ctx": 4096}}


def test_a_router_loads_the_model_before_it_is_asked_what_it_is() -> None:
    with OpenAIServer(is_router=True, entry=META, props=dict(PROPS)) as router, opened(router) as model:
        assert router.is_loaded
        assert model.context_length == 4096
        assert model.revision.engine == "b6000"
        assert once(model).text == '{"answer": "yes"}'
        router.is_loaded = False  # for another model, as --models-max says
        assert once(model).text == '{"answer": "yes"}'
        model.verify_revision()
    with OpenAIServer(entry=META, props=dict(PROPS)) as server, opened(server) as alone:
        assert alone.revision == model.revision


def test_a_routers_model_goes_by_its_other_names_too() -> None:
    with (
        OpenAIServer(is_router=True, entry=META, props=dict(PROPS)) as router,
        open_model(f"openai:{router.endpoint}#alias") as model,
    ):
        assert model.revision.name == "qwen3"


def test_a_look_at_lm_studio_loads_nothing() -> None:
    with OpenAIServer(is_lm_studio=True, owned_by="organization_owner") as server, opened(server) as model:
        before = len(server.chats)
        server.is_loaded = False
        once(model)
    assert len(server.chats) == before + 1


def test_two_servers_share_the_load_and_survive_the_loss_of_one() -> None:
    with (
        OpenAIServer(seconds=0.02) as one,
        OpenAIServer(seconds=0.02) as two,
        opened(one, two) as model,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(model.lm, [f"first {i}" for i in range(40)]))
        assert min(len(one.chats), len(two.chats)) >= 5
        two.stop()
        answers = list(threads.map(model.lm, [f"second {i}" for i in range(40)]))
    assert answers == [['{"answer": "yes"}']] * 40


def test_no_more_requests_are_sent_at_a_time_than_allowed() -> None:
    settings, together = ModelSettings(concurrency=2), threading.Barrier(2)

    def answer(_body: dict[str, Any]) -> str:
        together.wait(PATIENCE_SECONDS)  # two are sent at a time
        time.sleep(0.005)  # long enough for a third to come
        return "yes"

    with (
        OpenAIServer(answer=answer) as server,
        opened(server, settings=settings) as model,
        ThreadPoolExecutor(8) as threads,
    ):
        assert len(list(threads.map(model.lm, map(str, range(24))))) == 24
    assert server.most_at_once == 2


def test_a_server_that_is_down_when_opening_is_passed_over(server: OpenAIServer) -> None:
    with open_model(f"openai:http://127.0.0.1:9/v1,{server.endpoint}#qwen3") as model:
        assert model.lm("hello") == ['{"answer": "yes"}']


def test_servers_of_different_models_are_refused() -> None:
    with (
        OpenAIServer() as one,
        OpenAIServer(owned_by="vllm") as two,
        pytest.raises(ServerError, match="diff"),
    ):
        opened(one, two)


def test_all_servers_lost_says_so(server: OpenAIServer) -> None:
    with OpenAIServer() as other, opened(server, other) as model:
        model.lm.num_retries = 0
        model.lm("hello")
        server.stop()
        other.stop()
        for _ in range(3):
            with pytest.raises(LMTransportError, match="answer"):
                model.lm("hello")


def test_a_fault_that_passes_is_tried_again_and_one_that_stays_is_an_error(server: OpenAIServer) -> None:
    with opened(server) as model:
        server.broken = 1
        assert model.lm("hello") == ['{"answer": "yes"}']
        server.broken = 100
        model.lm.num_retries = 0
        with pytest.raises(LMServerError, match=r"answers: out of luck"):
            model.lm("hello")


def test_a_prompt_that_is_too_long_is_an_error_with_the_limit() -> None:
    with (
        OpenAIServer(props=PROPS, context_length=100) as server,
        opened(server) as model,
        pytest.raises(
            ContextWindowExceededError, match=r"the request exceeds the available context size.*larger"
        ),
    ):
        model.lm("word " * 200)
    assert len(server.chats) == 1


def test_a_slow_answer_ends_in_a_timeout() -> None:
    with (
        OpenAIServer(seconds=NEVER) as server,
        opened(server, settings=ModelSettings(timeout_seconds=0.3)) as model,
    ):
        model.lm.num_retries = 0
        with pytest.raises(LMTimeoutError):
            model.lm("hello")


def test_cancelling_ends_requests_at_once() -> None:
    with OpenAIServer(seconds=NEVER) as server, opened(server) as model, ThreadPoolExecutor(1) as threads:
        running = threads.submit(model.lm, "hello")
        while not server.chats:
            time.sleep(0.01)
        model.cancel()
        with pytest.raises(RequestCancelledError):
            running.result(PATIENCE_SECONDS)


def test_the_key_comes_from_the_environment_and_only_ours_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "belongs to someone else")
    with OpenAIServer(key="secret") as server:
        with pytest.raises(ServerError, match="PROMPTGRAD_API_KEY"):
            opened(server)
        monkeypatch.setenv("PROMPTGRAD_API_KEY", "secret")
        with opened(server) as model:
            assert model.lm("hello") == ['{"answer": "yes"}']
            server.key = "another"
            with pytest.raises(LMAuthError, match="PROMPTGRAD_API_KEY"):
                model.lm("hello")
    assert "belongs to someone else" not in server.keys


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ServerError, match="Start the server"):
        open_model("openai:http://127.0.0.1:9/v1#qwen3")
    with pytest.raises(ModelUriError, match="isn't an http address"):
        open_model("openai:localhost:8080/v1#qwen3")

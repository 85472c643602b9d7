"""Ollama as a user has it: through `open_model`, against a server that speaks its protocol."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnsupportedModelError,
)

from models import ModelSettings, open_model
from models.cancelled import RequestCancelledError
from models.errors import (
    ModelError,
    ModelMemoryError,
    ModelNotFoundError,
    RevisionMovedError,
    ServerError,
)
from models.ollama.api import is_new_enough, ollama_address
from models.ollama.model import OllamaModel
from tests.models.ollama.ollama_server import FakeModel, OllamaServer, digest_of
from tests.patience import PATIENCE_SECONDS

NEVER = 3600.0
"""Seconds that no test lasts."""


def opened(settings: ModelSettings | None = None, **more: Any) -> OllamaModel:
    model = open_model("ollama:qwen3:4b", settings=settings, **more)
    assert isinstance(model, OllamaModel)
    return model


def once(model: OllamaModel, text: str = "hello", **config: Any) -> lm15.Response:
    """Ask without DSPy's retries."""
    request = lm15.Request(model="ollama", messages=(lm15.Message.user(text),), config=lm15.Config(**config))
    response = model.lm.engine.complete(request)
    assert isinstance(response, lm15.Response)
    return response


def test_an_answer_comes_through_dspy_with_a_schema(ollama: OllamaServer) -> None:
    ollama.answers.append('{"queue": "billing"}')
    with opened() as model, dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        assert dspy.Predict("ticket -> queue")(ticket="I paid twice").queue == "billing"
    schema = ollama.chats[-1]["format"]
    assert schema["required"] == ["queue"]
    assert schema["properties"]["queue"]["type"] == "string"


def test_nothing_is_left_to_the_servers_defaults(ollama: OllamaServer) -> None:
    settings = ModelSettings(context_length=2048, max_tokens=77, top_k=5, top_p=0.5, min_p=0.1, seed=9)
    with opened(settings) as model:
        model.lm("hello", temperature=0.7, seed=4)
    body = ollama.chats[-1]
    assert body["options"] == {
        "num_ctx": 2048,
        "num_predict": 77,
        "temperature": 0.7,
        "top_p": 0.5,
        "top_k": 5,
        "min_p": 0.1,
        "typical_p": 1.0,
        "repeat_penalty": 1.0,
        "repeat_last_n": 64,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": 4,
    }
    assert (body["truncate"], body["shift"], body["keep_alive"]) == (False, False, "30m")
    assert ollama.loads[0]["options"] == {"num_ctx": 2048}


def test_own_stop_strings_join_those_of_the_modelfile(ollama: OllamaServer) -> None:
    with opened() as model:
        model.lm("hello", stop=["END"])
        assert ollama.chats[-1]["options"]["stop"] == ["<|im_end|>", "END"]


def test_a_number_as_keep_alive_is_sent_as_a_number(ollama: OllamaServer) -> None:
    with opened(ModelSettings(keep_alive="-1")) as model:
        model.lm("hello")
    assert ollama.chats[-1]["keep_alive"] == -1


def test_the_revision_is_the_manifests_digest(ollama: OllamaServer) -> None:
    with opened() as model:
        revision = model.revision
    assert revision.digest == f"sha256:{ollama.models[0].digest}"
    assert revision.weights_digest == f"sha256:{digest_of('weights')}"
    assert revision.template_digest == f"sha256:{digest_of('{{ .Prompt }}')}"
    assert (revision.verified, revision.engine) == (True, "ollama 0.13.5")


def test_a_tag_that_moved_is_noticed(ollama: OllamaServer) -> None:
    with opened() as model:
        model.verify_revision()
        ollama.move_tag("qwen3:4b")
        with pytest.raises(RevisionMovedError, match="is now"):
            model.verify_revision()


def test_a_model_that_was_removed_is_noticed(ollama: OllamaServer) -> None:
    with opened() as model:
        ollama.models.clear()
        with pytest.raises(ModelNotFoundError, match="qwen3:4b"):
            model.verify_revision()
        with pytest.raises(LMUnsupportedModelError, match="not found"):
            model.lm("hello")


def test_a_thinking_model_thinks_only_when_told_to(ollama: OllamaServer) -> None:
    ollama.models = [FakeModel("qwen3:4b", capabilities=("completion", "thinking"))]
    with opened() as model:
        assert [part.type for part in once(model).message.parts] == ["text"]
        assert ollama.chats[-1]["think"] is False
    with opened(ModelSettings(think=True)) as model:
        thought, answer = once(model).message.parts
        assert (thought.type, thought.text) == ("thinking", "Let me see.")
        assert answer.text == '{"answer": "yes"}'


def test_an_answer_under_the_thoughts_is_taken_if_it_fits(ollama: OllamaServer) -> None:
    ollama.models = [FakeModel("qwen3:4b", capabilities=("completion", "thinking"))]
    ollama.thought, ollama.default_answer = '{"queue": "billing"}', ""
    said: list[str] = []
    asked = {"type": "json_schema", "schema": {"type": "object", "required": ["queue"]}}
    with opened(ModelSettings(think=True), on_progress=lambda text, _done: said.append(text)) as model:
        assert once(model, response_format=asked).text == '{"queue": "billing"}'
        assert any("answers where it should think" in text for text in said)
        ollama.thought = '{"other": "field"}'
        assert not once(model, response_format=asked).text
        ollama.thought = '{"queue": "billing"}'
        assert not once(model).text  # nobody asked for JSON


def test_a_model_that_cannot_think_is_never_told_to(ollama: OllamaServer) -> None:
    with opened(ModelSettings(think=True)) as model:
        model.lm("hello")
    assert "think" not in ollama.chats[-1]


def test_a_prompt_that_is_too_long_is_an_error_with_the_limit(ollama: OllamaServer) -> None:
    with (
        opened(ModelSettings(context_length=512)) as model,
        pytest.raises(
            ContextWindowExceededError,
            match=r"A prompt of 604 tokens and its answer.*context of\s+512 tokens.*context_length",
        ),
    ):
        model.lm("word " * 600)
    assert len(ollama.chats) == 1  # trying again would not make it shorter


def test_a_prompt_that_a_server_cut_all_the_same_is_an_error(ollama: OllamaServer) -> None:
    ollama.faults.truncates = True
    with (
        opened(ModelSettings(context_length=512)) as model,
        pytest.raises(ContextWindowExceededError, match="read 256 tokens of a prompt of at least 600"),
    ):
        model.lm("word " * 600)


def test_an_answer_that_hits_the_end_of_the_context_is_an_error(ollama: OllamaServer) -> None:
    ollama.answers.append("word " * 300)
    with (
        opened(ModelSettings(context_length=512)) as model,
        pytest.raises(ContextWindowExceededError, match="don't fit"),
    ):
        model.lm("word " * 300)


def test_an_answer_of_the_allowed_length_is_cut_and_says_so(ollama: OllamaServer) -> None:
    ollama.answers.append("one two three four")
    with opened() as model:
        response = once(model, max_tokens=2)
    assert (response.message.text, response.finish_reason) == ("one two ", "length")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (5, 2)


def test_an_empty_answer_is_an_answer(ollama: OllamaServer) -> None:
    ollama.answers.extend(["", ""])
    with opened() as model:
        assert once(model).text in ("", None)
        assert model.lm("hello") in ([""], [None])


def test_a_busy_server_is_waited_for_with_a_message(ollama: OllamaServer) -> None:
    said: list[str] = []
    with opened(on_progress=lambda sentence, _fraction: said.append(sentence)) as model:
        ollama.faults.busy = 2
        assert once(model).message.text == '{"answer": "yes"}'
    assert len(ollama.chats) == 3
    assert said[0] == "Waiting for Ollama to load qwen3:4b"
    assert sum("is busy" in sentence for sentence in said) == 2


def test_a_cold_start_is_waited_for_with_a_message(
    ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    told = threading.Event()

    def hear(sentence: str, _fraction: float) -> None:
        said.append(sentence)
        if "is loading qwen3:4b" in sentence:
            told.set()

    with opened(on_progress=hear) as model:
        monkeypatch.setattr("models.ollama.engine.SILENCE", PATIENCE_SECONDS)
        once(model)
        assert not told.is_set()
        monkeypatch.setattr("models.ollama.engine.SILENCE", 0.05)
        ollama.default_answer = lambda _body: "yes" if told.wait(PATIENCE_SECONDS) else "too late"
        assert once(model).text == "yes"
    assert sum("is loading qwen3:4b" in sentence for sentence in said) == 1


def test_what_waits_in_the_servers_queue_says_so(
    ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.ollama.engine.SILENCE", 0.05)
    said: list[str] = []
    ollama.default_answer = lambda _body: time.sleep(0.1) or "yes"  # type: ignore[func-returns-value]
    with opened(on_progress=lambda text, _done: said.append(text)) as model, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(model.lm, map(str, range(8)))) == [["yes"]] * 8
    assert any("requests of this run to answer" in text for text in said)
    assert any("'s queue (1 slot; OLLAMA_NUM_PARALLEL" in text for text in said)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_no_more_is_sent_than_the_server_answers_at_a_time(ollama: OllamaServer, slots: int) -> None:
    ollama.free = threading.Semaphore(slots)
    ollama.default_answer = lambda _body: time.sleep(0.2) or "yes"  # type: ignore[func-returns-value]
    with opened() as model, ThreadPoolExecutor(8) as threads:
        list(threads.map(model.lm, map(str, range(12))))
        ollama.free = threading.Semaphore(8)
        ollama.most_at_once = 0
        list(threads.map(model.lm, map(str, range(12))))
    assert ollama.most_at_once == slots


def test_a_server_that_is_slow_to_begin_is_not_taken_for_one_with_a_single_slot(ollama: OllamaServer) -> None:
    class SlowToBegin(threading.Semaphore):
        def __enter__(self, *_: object) -> bool:
            time.sleep(0.05)
            return super().__enter__()

    def answer(_body: dict[str, Any]) -> str:
        together.wait(PATIENCE_SECONDS)
        return "yes"

    ollama.free, together = SlowToBegin(4), threading.Barrier(4)
    with opened() as model, ThreadPoolExecutor(4) as threads:
        for number in range(6):
            model.lm(f"alone {number}")
        ollama.default_answer = answer
        list(threads.map(model.lm, map(str, range(4))))
    assert ollama.most_at_once == 4


def test_another_programs_context_is_named_while_a_request_waits_for_it(
    ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.ollama.engine.SILENCE", 0.05)
    said: list[str] = []
    with opened(on_progress=lambda text, _done: said.append(text)) as model:
        ollama.contexts["qwen3:4b"] = 2048
        ollama.before_chat = lambda _number: time.sleep(0.4)
        once(model)
    assert any("load qwen3:4b with a context of 2048 tokens; with ours, of 8192," in text for text in said)


def test_a_model_that_another_program_makes_the_server_load_anew_is_named(ollama: OllamaServer) -> None:
    said: list[str] = []
    ollama.faults.seconds_to_load = 2.5
    with opened(on_progress=lambda text, _done: said.append(text)) as model:
        model.lm("first")
        assert not any("another program" in text for text in said)
        model.lm("second")
    assert any("loaded qwen3:4b again (2.5 s): another program" in text for text in said)


def test_any_json_is_sent_as_a_schema(ollama: OllamaServer) -> None:
    with opened() as model:
        once(model, response_format={"type": "json_object"})
    assert ollama.chats[-1]["format"] == {"type": "object"}


def test_an_error_from_below_is_said_in_its_own_words_and_not_tried_again(ollama: OllamaServer) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "objct"}}}
    with (
        opened() as model,
        pytest.raises(LMError, match=r"answers 400: JSON schema conversion failed") as error,
    ):
        model.lm("hello", response_format=schema)
    assert "{" not in str(error.value)
    assert len(ollama.chats) == 1


def test_a_server_that_stays_busy_ends_in_a_timeout(ollama: OllamaServer) -> None:
    with opened() as model:
        model.lm.engine.timeout_seconds = 0.4  # to open it may take longer
        ollama.faults.busy = 1000
        with pytest.raises(lm15.TimeoutError, match=r"0\.4 s"):
            once(model)


def test_a_slow_answer_ends_in_a_timeout(ollama: OllamaServer) -> None:
    ollama.faults.seconds_per_piece = 0.01
    ollama.default_answer = "word " * 100_000
    with opened(ModelSettings(timeout_seconds=PATIENCE_SECONDS)) as model:
        assert model.lm.engine.timeout_seconds == PATIENCE_SECONDS
        model.lm.engine.timeout_seconds = 0.5  # to open it may take longer
        model.lm.num_retries = 0
        with pytest.raises(LMTimeoutError, match="timeout_seconds"):
            model.lm("hello")
    assert ollama.hung_up.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("fault", ["cut_streams", "error_in_stream", "damaged", "broken"])
def test_a_fault_that_passes_is_tried_again(ollama: OllamaServer, fault: str) -> None:
    setattr(ollama.faults, fault, 1)
    with opened() as model:
        assert model.lm("hello") == ['{"answer": "yes"}']
    assert len(ollama.chats) == 2


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("cut_streams", LMTransportError, "broke"),
        ("error_in_stream", LMServerError, "an error was encountered while running the model"),
        ("damaged", LMTransportError, "damaged line"),
        ("broken", LMServerError, "llama runner process has terminated"),
    ],
)
def test_a_fault_that_stays_is_an_error_and_no_answer(
    ollama: OllamaServer, fault: str, error: type[Exception], words: str
) -> None:
    setattr(ollama.faults, fault, 1000)
    with opened() as model:
        model.lm.num_retries = 0
        with pytest.raises(error, match=words):
            model.lm("hello")


def test_a_server_that_went_away_says_how_to_start_it(ollama: OllamaServer) -> None:
    with opened() as model:
        model.lm.num_retries = 0
        ollama.stop()
        with pytest.raises(LMTransportError, match="ollama serve"):
            model.lm("hello")


def test_no_server_is_an_error_that_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(ServerError, match="ollama serve") as caught:
        opened()
    assert caught.value.exit_code == 3


def test_an_unknown_model_says_how_to_get_it(ollama: OllamaServer) -> None:
    with pytest.raises(ModelNotFoundError, match="promptgrad models pull ollama:llama3:latest"):
        open_model("ollama:llama3")


def test_a_server_that_would_cut_prompts_is_refused(ollama: OllamaServer) -> None:
    ollama.version = "0.12.5"
    with pytest.raises(ServerError, match=r"0\.12\.6"):
        opened()


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("0.12.5", False),
        ("0.12.6", True),
        ("0.13.0-rc1", True),
        ("1.0.0", True),
        ("0.0.0", True),
        ("", False),
    ],
)
def test_which_versions_can_be_told_not_to_cut(version: str, good: bool) -> None:
    assert is_new_enough(version) is good


def test_a_model_in_a_cloud_is_refused(ollama: OllamaServer) -> None:
    ollama.models = [FakeModel("qwen3:4b", remote_model="qwen3-coder:480b")]
    with pytest.raises(ModelError, match=r"ollama\.com"):
        opened()
    assert not ollama.loads


def test_a_model_that_does_not_fit_says_what_to_do(ollama: OllamaServer) -> None:
    ollama.faults.out_of_memory = True
    with pytest.raises(ModelMemoryError, match="context_length"):
        opened()


def test_a_context_that_the_server_makes_smaller_is_an_error(ollama: OllamaServer) -> None:
    ollama.faults.largest_context = 1024
    with pytest.raises(ModelError, match="1024 tokens instead of 4096"):
        opened(ModelSettings(context_length=4096))


def test_without_a_wish_the_context_is_what_model_and_server_have(ollama: OllamaServer) -> None:
    with opened() as model:
        assert model.context_length == 8192
    ollama.models = [FakeModel("qwen3:4b", context_length=2048)]
    with opened() as model:
        assert model.context_length == 2048
    ollama.faults.largest_context = 1024
    with opened() as model:
        assert model.context_length == 1024


def test_something_else_at_the_address_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.server

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
        with pytest.raises(ModelError, match="404"):
            opened()
    finally:
        server.shutdown()
        server.server_close()


def test_cancelling_ends_all_requests_at_once(ollama: OllamaServer) -> None:
    with opened() as model, ThreadPoolExecutor(4) as threads:
        ollama.faults.seconds_per_piece = NEVER
        running = [threads.submit(model.lm, "hello") for _ in range(4)]
        while len(ollama.chats) < 4:
            time.sleep(0.01)
        model.cancel()
        for request in running:
            with pytest.raises(RequestCancelledError):
                request.result(PATIENCE_SECONDS)
        ollama.faults.seconds_per_piece = 0
        assert model.lm("again") == ['{"answer": "yes"}']


def test_closing_ends_what_runs_and_twice_is_fine(ollama: OllamaServer) -> None:
    model = opened()
    ollama.faults.seconds_per_piece = NEVER
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(model.lm, "hello")
        while not ollama.chats:
            time.sleep(0.01)
        model.close()
        with pytest.raises(RequestCancelledError):
            running.result(PATIENCE_SECONDS)
    model.close()
    with pytest.raises(RequestCancelledError):
        model.lm("hello")


def test_many_threads_get_their_own_answers(ollama: OllamaServer) -> None:

    def answer(body: dict[str, Any]) -> str:
        time.sleep(0.005)  # long enough for one more than allowed to come
        return str(body["messages"][-1]["content"])

    ollama.default_answer = answer
    with opened(ModelSettings(concurrency=3)) as model, ThreadPoolExecutor(16) as threads:
        words = [f"word{i}" for i in range(64)]
        assert [answer for [answer] in threads.map(model.lm, words)] == words
    assert ollama.most_at_once <= 3


def test_an_answer_can_be_awaited_and_cancelled(ollama: OllamaServer) -> None:
    async def ask() -> list[str]:
        with opened() as model:
            answer: list[str] = await model.lm.acall("hello")
            ollama.faults.seconds_per_piece = NEVER
            task = asyncio.create_task(model.lm.acall("hello"))
            while len(ollama.chats) < 2:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            other = asyncio.create_task(model.lm.acall("hello"))
            while len(ollama.chats) < 3:
                await asyncio.sleep(0.01)
            model.cancel()
            with pytest.raises(RequestCancelledError):
                await other
            return answer

    assert asyncio.run(ask()) == ['{"answer": "yes"}']


def test_an_answer_can_be_streamed(ollama: OllamaServer) -> None:
    ollama.default_answer = "one two three"
    request = lm15.Request(model="ollama", messages=(lm15.Message.user("hello"),))

    async def gather(model: OllamaModel) -> list[str]:
        from models.server.engine import AsyncServerEngine

        engine = AsyncServerEngine(model.lm.engine)
        return [event.delta.text async for event in engine.stream(request) if event.type == "delta"]

    with opened() as model:
        events = list(model.lm.engine.stream(request))
        assert [event.type for event in events] == ["start", "delta", "delta", "delta", "end"]
        assert [event.delta.text for event in events[1:-1]] == ["one ", "two ", "three"]
        assert asyncio.run(gather(model)) == ["one ", "two ", "three"]
        ollama.faults.error_in_stream = 1
        with pytest.raises(lm15.ServerError):
            list(model.lm.engine.stream(request))


def test_leaving_a_stream_cancels_the_request(ollama: OllamaServer) -> None:
    ollama.default_answer = "word " * 1000
    ollama.faults.seconds_per_piece = 0.01
    request = lm15.Request(model="ollama", messages=(lm15.Message.user("hello"),))
    with opened() as model:
        stream = model.lm.engine.stream(request)
        assert next(stream).type == "start"
        next(stream)
        stream.close()
        assert ollama.hung_up.wait(PATIENCE_SECONDS)


def test_counts_are_exact_where_the_weights_lie_here(ollama: OllamaServer, tiny_gguf: Path) -> None:
    blob = tiny_gguf.with_name(f"sha256-{'ab' * 32}")
    if not blob.exists():
        blob.symlink_to(tiny_gguf)
    ollama.models = [FakeModel("qwen3:4b", blob=blob)]
    with opened() as model:
        assert model.exact_token_counts
        assert model.count_tokens("the") == 1
        assert model.count_tokens("xyz") == 3
    assert model.revision.weights_digest == f"sha256:{'ab' * 32}"


def test_counts_are_estimates_where_they_do_not(ollama: OllamaServer) -> None:
    with opened() as model:
        assert not model.exact_token_counts
        assert model.count_tokens("three little words") >= 3
        messages = [{"role": "user", "content": "three little words"}]
        assert model.count_prompt_tokens(messages) > model.count_tokens("three little words")


def test_a_blob_that_llama_cpp_cannot_read_leaves_the_estimate(ollama: OllamaServer, tmp_path: Path) -> None:
    blob = tmp_path / f"sha256-{'cd' * 32}"
    blob.write_bytes(b"no GGUF")
    ollama.models = [FakeModel("qwen3:4b", blob=blob)]
    with opened() as model:
        assert not model.exact_token_counts


def test_things_that_are_no_text_are_refused(ollama: OllamaServer) -> None:
    image = lm15.ImagePart(url="http://127.0.0.1/cat.png")
    request = lm15.Request(model="m", messages=(lm15.Message(role="user", parts=(image,)),))
    with opened() as model:
        with pytest.raises(lm15.UnsupportedFeatureError, match="image"):
            model.lm.engine.complete(request)
        with pytest.raises(lm15.UnsupportedFeatureError, match="Log-probabilities"):
            once(model, logprobs=1)
    assert not ollama.chats


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("example.org", "http://example.org:11434"),
        ("https://example.org", "https://example.org:443"),
        ("http://example.org:1234/ollama/", "http://example.org:1234/ollama"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("::1", "http://[::1]:11434"),
    ],
)
def test_the_address_is_read_as_ollama_reads_it(host: str, address: str) -> None:
    assert ollama_address({"OLLAMA_HOST": host}) == address

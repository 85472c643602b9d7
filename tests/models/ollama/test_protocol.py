"""How Ollama answers: the same questions to the look-alike of the tests and, if asked for, to a real one.

With PROMPTGRAD_OLLAMA=1 the server at OLLAMA_HOST is asked too. Where they differ, the look-alike is wrong.

The model is that of PROMPTGRAD_OLLAMA_MODEL, or the first small one that writes text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from models.ollama.api import ollama_address
from models.server.error_texts import error_status, error_text
from tests.models.ollama.ollama_server import OllamaServer

REAL = ollama_address(dict(os.environ))  # before a test sets OLLAMA_HOST
NANOSECONDS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


@dataclass
class Asked:
    """A server and the model that is asked there."""

    http: httpx.Client
    model: str
    thinks: bool

    def post(self, path: str = "/api/chat", **body: Any) -> httpx.Response:
        return self.http.post(path, json={"model": self.model, "stream": False, **body})

    def chat(self, *texts: str, **body: Any) -> httpx.Response:
        options = {"temperature": 0, "num_predict": 8, **body.pop("options", {})}
        messages = [{"role": "user", "content": text} for text in texts]
        return self.post(messages=body.pop("messages", messages), options=options, **body)


@pytest.fixture(params=["look-alike", "real"])
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    if request.param == "look-alike":
        with OllamaServer(default_answer='{"team": "cards"}') as server:
            yield Asked(httpx.Client(base_url=server.address, timeout=60), "qwen3:4b", thinks=False)
        return
    if os.environ.get("PROMPTGRAD_OLLAMA") != "1":
        pytest.skip("PROMPTGRAD_OLLAMA=1 asks the server at OLLAMA_HOST")
    http = httpx.Client(base_url=REAL, timeout=600)
    listed = sorted(http.get("/api/tags").json()["models"], key=lambda model: model["size"])
    able = [model for model in listed if "completion" in model.get("capabilities", ["completion"])]
    name = os.environ.get("PROMPTGRAD_OLLAMA_MODEL", able[0]["name"])
    shown = http.post("/api/show", json={"model": name}).json()
    yield Asked(http, name, thinks="thinking" in shown["capabilities"])


def test_an_answer_says_what_it_took(asked: Asked) -> None:
    answer = asked.chat("Name one color.").json()
    assert (answer["model"], answer["done"], answer["message"]["role"]) == (asked.model, True, "assistant")
    assert answer["done_reason"] in ("stop", "length")
    assert all(answer[name] > 0 for name in NANOSECONDS)
    assert answer["prompt_eval_count"] > 0
    assert 0 < answer["eval_count"] <= 8


def test_an_answer_comes_as_lines(asked: Asked) -> None:
    lines = [json.loads(line) for line in asked.chat("Name one color.", stream=True).text.splitlines()]
    assert all(not line["done"] and line["message"]["content"] for line in lines[:-1])
    assert lines[-1]["done"]
    assert lines[-1]["eval_count"] > 0


@pytest.mark.parametrize("truncate", [{}, {"truncate": False, "shift": False}])
def test_one_message_that_is_too_long_is_refused_either_way(asked: Asked, truncate: dict[str, bool]) -> None:
    refused = asked.chat("word " * 5000, options={"num_ctx": 2048}, **truncate)
    assert refused.status_code == 400
    assert "exceeds the available context size (2048 tokens)" in error_text(refused.text)
    assert error_status(refused.text, 400) == 400


def test_several_messages_that_are_too_long_are_cut_in_silence_unless_told_not_to(asked: Asked) -> None:
    texts = ["word " * 600] * 6
    cut = asked.chat(*texts, options={"num_ctx": 2048})
    assert cut.status_code == 200
    assert cut.json()["prompt_eval_count"] < 2048
    assert asked.chat(*texts, options={"num_ctx": 2048}, truncate=False).status_code == 400


def test_a_context_has_256_tokens_at_the_least(asked: Asked) -> None:
    asked.chat("Hello", options={"num_ctx": 64})
    running = asked.http.get("/api/ps").json()["models"]
    [length] = [model["context_length"] for model in running if model["name"] == asked.model]
    assert length == 256


def test_a_schema_is_followed(asked: Asked) -> None:
    schema = {
        "type": "object",
        "properties": {"team": {"type": "string", "enum": ["cards", "loans"]}},
        "required": ["team"],
    }
    answer = asked.chat("Which team has cards?", format=schema, options={"num_predict": 40}).json()
    assert json.loads(answer["message"]["content"])["team"] in ("cards", "loans")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"options": {"num_predict": "many"}}, 500, 'option "num_predict" must be of type integer'),
        ({"keep_alive": "30"}, 400, "missing unit in duration"),
        ({"logprobs": True, "top_logprobs": 50}, 400, "top_logprobs must be between 0 and 20"),
        ({"format": {"type": "objct"}}, 400, "Unrecognized schema"),
        ({"model": "nope:1b"}, 404, "model 'nope:1b' not found"),
    ],
)
def test_what_is_wrong_is_refused(asked: Asked, body: dict[str, Any], status: int, said: str) -> None:
    refused = asked.chat("Hello", **body)
    assert refused.status_code == status
    assert said in error_text(refused.text)


def test_a_model_that_cannot_think_refuses_to_and_may_be_told_not_to(asked: Asked) -> None:
    if asked.thinks:
        pytest.skip(f"{asked.model} thinks")
    refused = asked.chat("Hello", think=True)
    assert (refused.status_code, error_text(refused.text)) == (
        400,
        f'"{asked.model}" does not support thinking',
    )
    assert asked.chat("Hello", think=False).status_code == 200


def test_no_messages_load_a_model_and_a_keep_alive_of_0_frees_it(asked: Asked) -> None:
    assert asked.post(messages=[]).json()["done_reason"] == "load"
    assert asked.post(messages=[], keep_alive=0).json()["done_reason"] == "unload"


def test_an_answer_has_a_token_at_the_least(asked: Asked) -> None:
    assert asked.chat("Hello", options={"num_predict": 0}).json()["eval_count"] == 1


def test_the_likeliest_tokens_are_told_with_their_bytes(asked: Asked) -> None:
    answer = asked.chat("Name one color.", logprobs=True, top_logprobs=20, options={"num_predict": 1}).json()
    told = answer["logprobs"][0]["top_logprobs"]
    assert bytes(told[0]["bytes"]).decode(errors="replace") == told[0]["token"]
    assert [token["logprob"] for token in told] == sorted((t["logprob"] for t in told), reverse=True)
    assert all(token["logprob"] <= 0 for token in told)


def test_an_answer_that_has_begun_is_continued(asked: Asked) -> None:
    begun = [{"role": "user", "content": "Name one color."}, {"role": "assistant", "content": '{"c": "'}]
    rendered = asked.chat(messages=begun, _debug_render_only=True).json()["_debug_info"]["rendered_template"]
    assert rendered.endswith('{"c": "')
    assert asked.chat(messages=begun).json()["message"]["content"].startswith('{"c": "')


def test_a_list_tells_what_models_can_and_hold(asked: Asked) -> None:
    [listed] = [m for m in asked.http.get("/api/tags").json()["models"] if m["name"] == asked.model]
    assert "completion" in listed["capabilities"]
    assert listed["details"]["context_length"] > 0
    assert len(listed["digest"].removeprefix("sha256:")) == 64


def test_a_name_that_is_written_anew_shows_another_time(asked: Asked) -> None:
    """What a moved tag is noticed by, also when it was moved back: not the digest alone."""
    name = "promptgrad-test:latest"

    def written() -> tuple[str, str]:
        asked.http.post("/api/copy", json={"source": asked.model, "destination": name})
        [listed] = [m for m in asked.http.get("/api/tags").json()["models"] if m["name"] == name]
        return listed["digest"], listed["modified_at"]

    try:
        first, second = written(), written()
    finally:
        asked.http.request("DELETE", "/api/delete", json={"model": name})
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_what_is_not_there_is_404(asked: Asked) -> None:
    assert asked.post("/api/tokenize", content="a").status_code == 404

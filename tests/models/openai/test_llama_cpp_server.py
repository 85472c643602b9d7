"""The server that comes with llama-cpp-python, with a real model behind it."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import dspy
import httpx
import pytest
from dspy import lm15
from dspy.utils.exceptions import ContextWindowExceededError

from models import ModelSettings, open_model
from tests.patience import PATIENCE_SECONDS

NEEDED = ("fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="needs pip install 'llama-cpp-python[server]'",
)


@pytest.fixture(scope="module")
def endpoint(tiny_gguf: Path) -> Iterator[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        port = free_port()
        command = [sys.executable, "-m", "llama_cpp.server", "--model", str(tiny_gguf)]
        command += ["--model_alias", "tiny", "--port", str(port), "--n_ctx", "1024", "--n_threads", "1"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
            url = f"http://localhost:{port}/v1"
            while not answers(url) and it.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if it.poll() is None or time.monotonic() > deadline:
                yield url
                it.terminate()
                return
        # It has ended: another program was given the port meanwhile.


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/models", timeout=PATIENCE_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


class Route(dspy.Signature):
    """Name the queue."""

    ticket: str = dspy.InputField()
    queue: Literal["billing", "orders"] = dspy.OutputField()


def test_a_schema_binds_even_a_model_of_random_weights(endpoint: str) -> None:
    with (
        open_model(f"openai:{endpoint}#tiny", settings=ModelSettings(max_tokens=60)) as model,
        dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()),
    ):
        assert dspy.Predict(Route)(ticket="I paid twice").queue in ("billing", "orders")
        assert json.loads(model.lm.history[-1]["outputs"][0]).keys() == {"queue"}


def test_the_same_seed_gives_the_same_answer(endpoint: str) -> None:
    settings = ModelSettings(max_tokens=12, temperature=1.0, seed=5)
    with open_model(f"openai:{endpoint}#tiny", settings=settings) as model:
        assert model.lm("hello") == model.lm("hello")


def test_a_stream_says_the_same_as_an_answer_in_one_piece(endpoint: str) -> None:
    with open_model(f"openai:{endpoint}#tiny", settings=ModelSettings(max_tokens=24)) as model:
        request = lm15.Request(model="tiny", messages=(lm15.Message.user("hello"),))
        whole = model.lm.engine.complete(request)
        events = list(model.lm.engine.stream(request))
    deltas = [event.delta.text for event in events if event.type == "delta"]
    assert len(deltas) > 4
    assert "".join(deltas) == whole.text
    assert events[-1].finish_reason == whole.finish_reason


def test_a_prompt_that_is_too_long_is_an_error_with_the_servers_numbers(endpoint: str) -> None:
    with (
        open_model(f"openai:{endpoint}#tiny") as model,
        pytest.raises(ContextWindowExceededError, match="1024 tokens"),
    ):
        model.lm("word " * 2000)

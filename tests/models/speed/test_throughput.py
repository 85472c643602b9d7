"""A model is measured as it runs, and what was measured is remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models import LocalModel, open_model
from models.errors import ServerError
from models.speed.probe import ANSWER_TOKENS, measure
from models.speed.throughput import Throughput, recall, remember
from tests.models.ollama.ollama_server import OllamaServer
from tests.patience import PATIENCE_SECONDS

MEASURED = Throughput(prompt=900.0, single=40.5, several=210.0, sequences=8, measured=1_700_000_000.0)


@pytest.fixture
def served(ollama: OllamaServer) -> Iterator[LocalModel]:
    ollama.default_answer = " ".join(["story"] * 2 * ANSWER_TOKENS)
    with open_model("ollama:qwen3:4b") as model:
        yield model


def test_a_model_in_process_is_measured(tiny_gguf: Path) -> None:
    heard: list[str] = []
    with open_model(f"gguf:{tiny_gguf}") as model:
        measured = measure(model, sequences=3, on_progress=lambda text, _: heard.append(text))
    assert min(measured.prompt, measured.single, measured.several) > 0
    assert measured.sequences == 3
    assert heard == [
        "Measuring: reading a prompt",
        "Measuring: one answer",
        "Measuring: 3 answers at a time",
        "Measured",
    ]


def test_a_server_gets_prompts_that_no_cache_has_and_long_answers_are_asked_for(
    served: LocalModel, ollama: OllamaServer
) -> None:
    ollama.slots, ollama.free = 4, threading.Semaphore(4)
    together, long, said = threading.Barrier(4), " ".join(["story"] * 2 * ANSWER_TOKENS), [""]

    def answer(_body: dict[str, Any]) -> str:
        if said[-1] == "Measuring: 4 answers at a time":
            together.wait(PATIENCE_SECONDS)  # nobody gets an answer before four have asked
        return long

    ollama.default_answer = answer
    measured = measure(served, sequences=4, on_progress=lambda text, _: said.append(text))
    assert said[1:] == [
        "Measuring: reading a prompt",
        "Measuring: one answer",
        "Measuring: 4 answers at a time",
        "Measured",
    ]
    assert ollama.most_at_once == 4
    assert min(measured.prompt, measured.single, measured.several) > 0
    read = [chat["messages"][0]["content"] for chat in ollama.chats if len(str(chat["messages"])) > 400]
    assert len({text.split()[0] for text in read}) == len(read) > 0
    limits = {chat["options"]["num_predict"] for chat in ollama.chats}
    assert limits == {1, ANSWER_TOKENS}
    assert ollama.chats[-1]["format"]["properties"]["text"]["minLength"] >= ANSWER_TOKENS


def test_a_model_that_gives_no_answer_says_so(served: LocalModel, ollama: OllamaServer) -> None:
    ollama.faults.broken = 100
    with pytest.raises(ServerError, match="gives no answer"):
        measure(served, sequences=2)


def test_it_is_remembered_by_revision_place_and_machine(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(MEASURED, "sha256:1", "http://server")
    assert recall("sha256:1", "http://server") == MEASURED
    assert recall("sha256:1", "") is None
    assert recall("sha256:2", "http://server") is None
    assert recall(None, "") is None
    monkeypatch.setattr("platform.node", lambda: "another machine")
    assert recall("sha256:1", "http://server") is None


def test_a_damaged_or_forbidden_cache_is_no_obstacle(own_cache: Path) -> None:
    remember(MEASURED, "sha256:1", "")
    for file in (own_cache / "throughput").iterdir():
        file.write_text('{"prompt": 1}')
    assert recall("sha256:1", "") is None
    for file in (own_cache / "throughput").iterdir():
        file.unlink()
    (own_cache / "throughput").rmdir()
    (own_cache / "throughput").write_text("a file where a folder should be")
    remember(MEASURED, "sha256:1", "")
    assert recall("sha256:1", "") is None

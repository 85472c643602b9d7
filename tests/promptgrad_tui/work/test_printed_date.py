"""Prompts that show the date: an artifact keeps a pinned one, and a check warns of one that changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.desk import Desk
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project

LLAMA_3 = "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"


def llama_server() -> OpenAIServer:
    """The scripted support desk behind a template that shows the date of a request."""
    desk = Desk()
    return OpenAIServer(
        name="desk",
        answer=lambda body: desk.answer(body["messages"]),
        props={"chat_template": LLAMA_3},
        renders=lambda variables: str(variables.get("date_string")),
    )


def test_an_artifact_keeps_the_date_that_its_prompts_show(tmp_path: Path) -> None:
    with llama_server() as server:
        done = promptgrad("run", write_project(tmp_path, f"openai:{server.endpoint}#desk"), "--json")
        assert done.returncode == 0, done.stderr
    manifest = json.loads((Path(result(done)["artifact"]) / "manifest.json").read_text())
    assert manifest["details"]["project"]["model"]["template_switches"] == {"today": "2026-01-01"}


def test_a_check_warns_of_a_date_that_nobody_can_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warnings(uri: str) -> list[str]:
        told = result(promptgrad("check", write_project(tmp_path, uri), "--no-probe", "--json"))
        return [found["text"] for found in told["findings"] if "today's date" in found["text"]]

    with llama_server() as server:
        assert warnings(f"openai:{server.endpoint}#desk") == []
    with OllamaServer(models=[FakeModel("qwen3:4b", template="Today: {{ currentDate }}")]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        [warning] = warnings("ollama:qwen3:4b")
    assert "the chat template of ollama:qwen3:4b prints today's date (" in warning

"""`promptgrad models` and its subcommands, against servers on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.journal.journal import Journal, journal_path
from tests.models.catalog.hub_server import Hub
from tests.models.gguf_files import MODEL, write_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import Done, promptgrad
from tests.promptgrad_tui.screens.recorded import RecordedRun

NOBODY = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without models, caches or servers."""
    home = tmp_path / "home"
    home.mkdir()
    for name in (
        "PROMPTGRAD_MODELS",
        "OLLAMA_MODELS",
        "HF_HOME",
        "HF_HUB_CACHE",
        "XDG_CACHE_HOME",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("OLLAMA_HOST", NOBODY)
    monkeypatch.setattr("models.catalog.served.SERVER_SECONDS", PATIENCE_SECONDS)
    return home


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield server


def told(done: Done) -> dict[str, Any]:
    """Return the JSON object that a command printed."""
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def progress(done: Done) -> list[dict[str, Any]]:
    """Return the lines of JSON on stderr."""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_the_list_as_json_has_every_field_a_screen_needs(tmp_path: Path) -> None:
    path = write_model(tmp_path / "qwen.gguf")
    listed = told(promptgrad("-C", tmp_path, "models", "--json"))
    assert set(listed) == {"models", "memory"}
    assert 0 < listed["memory"]["free"] <= listed["memory"]["total"]
    demo, model = listed["models"]
    assert demo["uri"] == "demo"
    assert model["uri"] == f"gguf:{path}"
    assert (model["held_by"], model["has_template"], model["revision"]) == ([], True, None)


def test_what_the_project_names_is_listed_with_its_problem(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        toml = f'[model]\ntask = "ollama:qwen3:4b"\nreflection = "openai:{server.endpoint}#qwen3"\n'
        (tmp_path / "promptgrad.toml").write_text(toml)
        lines = promptgrad("-C", tmp_path, "models").stdout
    assert "ollama:qwen3:4b\n    can't be used: Ollama doesn't answer at http://127.0.0.1:9." in lines
    assert f"openai:{server.endpoint}#qwen3\n    revision " in lines
    assert "(unverified)" in lines


@pytest.mark.parametrize("text", ["[model", "model = 3", "[model]\ntask = 3", "[model]\ntask = 'same'"])
def test_a_project_that_cannot_be_read_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "promptgrad.toml").write_text(text)
    assert [model["uri"] for model in told(promptgrad("-C", tmp_path, "models", "--json"))["models"]] == [
        "demo"
    ]


def test_hostile_names_act_on_no_terminal(tmp_path: Path, ollama: OllamaServer) -> None:
    ollama.models.append(FakeModel("evil\x1b[2J\u202e[red]:tag"))
    write_model(tmp_path / "a\x1b[31mb\nc.gguf", {**MODEL, "qwen3.note": "\x1b]0;owned\x07 [bold]"})
    done = promptgrad("-C", tmp_path, "models")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "[red]" in done.stdout
    shown = promptgrad("-C", tmp_path, "models", "show", f"gguf:{tmp_path}/a\x1b[31mb\nc.gguf")
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert "[bold]" in shown.stdout


def test_show_tells_metadata_memory_and_template(tmp_path: Path, ollama: OllamaServer) -> None:
    path = write_model(tmp_path / "qwen.gguf")
    shown = told(promptgrad("-C", tmp_path, "models", "show", "gguf:qwen.gguf", "--json"))
    assert shown["files"] == [str(path)]
    assert shown["metadata"]["qwen3.block_count"] == 28
    assert shown["memory"]["kv_per_token"] == 114_688
    assert shown["memory"]["needed"] == path.stat().st_size + 8192 * 114_688
    assert shown["chat_template"] == "{{ messages }}"
    served = promptgrad("models", "show", "ollama:qwen3:4b")
    assert "qwen3.context_length = 40960" in served.stdout
    assert "{{ .Prompt }}" in served.stdout


def test_show_tells_what_a_server_says() -> None:
    with OpenAIServer(entry={"max_model_len": 4096}) as server:
        shown = told(promptgrad("models", "show", f"openai:{server.endpoint}#qwen3", "--json"))
    assert shown["metadata"]["max_model_len"] == 4096
    assert shown["files"] == []


def test_hash_is_the_sha256_and_is_listed_from_then_on(tmp_path: Path) -> None:
    path = write_model(tmp_path / "qwen.gguf")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    done = promptgrad("models", "hash", f"gguf:{path}", "--json", "--json-progress")
    assert told(done) == {"uri": f"gguf:{path}", "revision": digest, "verified": True}
    assert progress(done)[-1] == {"text": "Hashing qwen.gguf", "done": 1.0, "kind": "progress"}
    assert promptgrad("models", "hash", f"gguf:{path}").stdout == f"{digest}\n"
    assert told(promptgrad("-C", tmp_path, "models", "--json"))["models"][1]["revision"] == digest


def test_hash_of_a_server_is_what_it_tells(ollama: OllamaServer) -> None:
    assert promptgrad("models", "hash", "ollama:qwen3:4b").stdout == f"sha256:{ollama.models[0].digest}\n"
    with OpenAIServer() as server:
        assert not told(promptgrad("models", "hash", f"openai:{server.endpoint}#qwen3", "--json"))["verified"]


def test_an_error_is_a_line_of_json_where_that_was_asked_for(tmp_path: Path) -> None:
    done = promptgrad("models", "hash", f"gguf:{tmp_path}/gone.gguf", "--json-progress")
    assert done.returncode == 3
    (line,) = progress(done)
    assert line == {
        "text": f"There is no file {tmp_path}/gone.gguf.",
        "hint": "`promptgrad models` lists what is here.",
        "kind": "error",
    }
    assert "error: There is no file" in promptgrad("models", "hash", f"gguf:{tmp_path}/gone.gguf").stderr


def test_pull_says_whom_it_asks_and_prints_the_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ollama: OllamaServer
) -> None:
    done = promptgrad("models", "pull", "ollama:llama3")
    assert done.stdout == "ollama:llama3\n"
    assert f"Reaching out to registry.ollama.ai, through Ollama at {ollama.address}." in done.stderr
    data = write_model(tmp_path / "tiny.gguf").read_bytes()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with Hub({"team/repo/tiny.gguf": data}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        done = promptgrad("models", "pull", "hf:team/repo/tiny.gguf", "--json", "--json-progress")
    host = hub.address.removeprefix("http://")
    assert progress(done)[0] == {"text": f"Reaching out to {host}", "done": 0.0, "kind": "progress"}
    assert Path(told(done)["uri"].removeprefix("gguf:")).read_bytes() == data


def test_measure_is_remembered_and_listed(tmp_path: Path) -> None:
    measured = told(promptgrad("models", "measure", "demo", "--sequences", "2", "--json"))
    assert min(measured["prompt"], measured["single"], measured["several"]) > 0
    listed = told(promptgrad("-C", tmp_path, "models", "--json"))["models"][0]["throughput"]
    assert {"uri": "demo", **listed} == measured
    assert "generated tokens/s" in promptgrad("-C", tmp_path, "models").stdout


def test_free_unloads_what_ollama_holds(ollama: OllamaServer) -> None:
    assert promptgrad("models", "free", "ollama:qwen3:4b").stdout == "Nothing holds it in memory.\n"
    ollama.contexts["qwen3:4b"] = 4096
    assert told(promptgrad("models", "free", "ollama:qwen3:4b", "--json"))["outcome"] == "unloaded"
    assert ollama.contexts == {}
    assert ollama.loads[-1]["keep_alive"] == 0


def test_free_names_the_runs_that_hold_a_model_and_stops_them_if_told(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    assert (
        promptgrad("-C", recorded.folder, "models", "free", "demo").stdout == "Nothing holds it in memory.\n"
    )
    with Journal.open(journal_path(recorded.folder)) as journal, journal.lock_run(recorded.run):
        held = promptgrad("-C", recorded.folder, "models", "free", "demo")
        assert f"{recorded.run} in {recorded.folder}" in held.stdout
        listed = told(promptgrad("-C", recorded.folder, "models", "--json"))["models"][0]
        assert [holder["run"] for holder in listed["held_by"]] == [recorded.run]
        assert journal.commands(recorded.run) == []
        stopped = told(promptgrad("-C", recorded.folder, "models", "free", "demo", "--stop-runs", "--json"))
        assert stopped["outcome"] == "stopping"
        assert [command.name for command in journal.commands(recorded.run)] == ["stop"]


def test_free_cannot_tell_other_servers() -> None:
    done = promptgrad("models", "free", "openai:http://127.0.0.1:9/v1#m")
    assert done.returncode == 1
    assert "has no way to unload a model" in done.stderr


def test_free_of_an_ollama_that_is_down_says_so() -> None:
    done = promptgrad("models", "free", "ollama:qwen3:4b")
    assert done.returncode == 3
    assert "doesn't answer" in done.stderr

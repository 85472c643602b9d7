"""Runs on models behind servers, through the command line: whose answers they are, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.desk import Desk
from tests.models.ollama.ollama_server import OllamaServer
from tests.models.openai.openai_server import OpenAIServer
from tests.promptgrad_tui.desk_project import last_events, outcome, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server

NAME = "qwen3:4b"


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """A server whose model is the scripted support desk."""
    desk = Desk()
    with OllamaServer(default_answer=lambda body: desk.answer(body["messages"])) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield server


def move_tag_at(server: OllamaServer, number: int) -> None:
    """Let the tag mean other weights, which know nothing of the desk, from one request on."""
    right: Callable[[dict[str, Any]], str] = server.default_answer  # type: ignore[assignment]
    server.before_chat = lambda chat: server.move_tag(NAME) if chat == number else None
    server.default_answer = lambda body: right(body) if body["weights"] == "weights" else '{"queue": "?"}'


def test_a_run_belongs_to_the_manifests_digest(tmp_path: Path, ollama: OllamaServer) -> None:
    write_project(tmp_path, f"ollama:{NAME}")

    done = promptgrad("run", tmp_path, "--json")

    assert done.returncode == 0, done.stderr
    manifest = json.loads((Path(result(done)["artifact"]) / "manifest.json").read_text())
    assert manifest["model"]["digest"] == f"sha256:{ollama.models[0].digest}"
    assert manifest["model"]["verified"] is True
    ticket = {"ticket": "I paid twice"}
    assert (
        promptgrad("predict", result(done)["artifact"], "--input", f"ticket={ticket['ticket']}").returncode
        == 0
    )

    ollama.move_tag(NAME)
    refused = promptgrad("predict", result(done)["artifact"], "--input", f"ticket={ticket['ticket']}")
    assert refused.returncode != 0
    assert ollama.models[0].digest[:12] in refused.stderr


@pytest.mark.parametrize("number", [3, 75, 150])
def test_a_tag_that_moves_stops_a_run_which_goes_on_once_it_is_back(
    tmp_path: Path, ollama: OllamaServer, number: int
) -> None:
    untouched = write_project(tmp_path / "untouched", f"ollama:{NAME}")
    right = promptgrad("run", untouched, "--json")
    project = write_project(tmp_path / "project", f"ollama:{NAME}")
    before = ollama.models[0].digest
    ollama.chats.clear()
    move_tag_at(ollama, number)

    stopped = promptgrad("run", project, "--json")

    assert stopped.returncode == 3
    assert f"was {before[:12]} and is now {ollama.models[0].digest[:12]}" in stopped.stderr
    assert "resume" in stopped.stderr
    assert number <= len(ollama.chats) < number + 16  # within one answer of each worker
    assert not (project / "artifacts").exists()
    assert last_events(project)[-1].kind == "run_finished"
    assert " error " in promptgrad("-C", project, "runs").stdout
    refused = promptgrad("-C", project, "resume", "last")
    assert refused.returncode != 0
    assert "Bring back the model as it was" in refused.stderr

    ollama.move_tag(NAME, weights="weights")
    resumed = promptgrad("-C", project, "resume", "last", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert outcome(result(resumed)) == outcome(result(right))


def test_a_server_none_of_whose_answers_can_be_read_ends_the_run_with_the_first_one(tmp_path: Path) -> None:
    with OpenAIServer(name="desk", default_answer="I would rather write a poem.") as server:
        write_project(tmp_path, f"openai:{server.endpoint}#desk")
        done = promptgrad("run", tmp_path, "--json")

    assert done.returncode == 3
    told = " ".join(done.stderr.split())
    assert "Not one of 30 answers could be read." in told
    assert "I would rather write a poem." in told
    assert "max_tokens" in told
    assert len(server.chats) <= 60  # the baseline, and nothing after it


@pytest.mark.parametrize(
    ("answer", "thought", "shown"),
    [
        ("I would rather write a poem.", "", "The first answer: I would rather write a poem."),
        ("", "A poem?", "The first answer: nothing was answered after the thought: A poem?"),
    ],
    ids=["a poem", "a thought alone"],
)
def test_answers_none_of_which_can_be_read_fail_the_check_as_a_run(
    tmp_path: Path, answer: str, thought: str, shown: str
) -> None:
    with OpenAIServer(name="desk", default_answer=answer, thought=thought) as server:
        project = write_project(tmp_path, f"openai:{server.endpoint}#desk", n=4)
        checked = promptgrad("check", project, "--json")
        ran = promptgrad("run", project)

    assert checked.returncode == ran.returncode == 3
    last = json.loads(checked.stdout)["findings"][-1]
    assert (last["level"], last["subject"], last["field"]) == ("fail", "answers", "model.max_tokens")
    assert "Not one of 4 answers could be read." in last["text"]
    assert "The model was asked for JSON with the field queue. The prompt ended with " in last["text"]
    assert "Respond with a JSON object in the following order of fields: `queue`." in last["text"]
    assert last["text"].endswith(shown)
    told = " ".join(ran.stderr.split())
    assert shown in told
    assert last["advice"] in told


def test_a_busy_server_costs_a_run_nothing_but_time(tmp_path: Path, ollama: OllamaServer) -> None:
    write_project(tmp_path, f"ollama:{NAME}")
    ollama.faults.busy = 3

    done = promptgrad("run", tmp_path, "--json")

    assert done.returncode == 0
    assert ollama.faults.busy == 0


def test_what_no_hash_vouches_for_is_called_unverified_wherever_it_is_told(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri)
        done = promptgrad("run", tmp_path, "--json")
        artifact = Path(result(done)["artifact"])
        pages = ("--html", tmp_path / "run.html", "--markdown", tmp_path / "run.md")
        assert promptgrad("-C", tmp_path, "report", "last", *pages).returncode == 0

    manifest = json.loads((artifact / "manifest.json").read_text())
    assert manifest["model"]["verified"] is False
    assert manifest["model"]["digest"].startswith("unverified:")
    assert "(unverified)" in (tmp_path / "run.html").read_text()
    assert "(unverified)" in (tmp_path / "run.md").read_text()
    assert "(unverified)" in promptgrad("-C", tmp_path, "show", "last").stdout


def test_a_key_is_read_from_the_environment_and_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    with OpenAIServer(
        name="desk", key="s3cret-key", answer=lambda body: desk.answer(body["messages"])
    ) as server:
        write_project(tmp_path, f"openai:{server.endpoint}#desk")
        refused = promptgrad("run", tmp_path, "--json")
        monkeypatch.setenv("PROMPTGRAD_API_KEY", "s3cret-key")
        done = promptgrad("run", tmp_path, "--json")

    assert refused.returncode != 0
    assert "PROMPTGRAD_API_KEY" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "s3cret-key" not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if b"s3cret-key" in path.read_bytes()]

"""An Ollama tag that comes to mean another model: in a run, before a resume, and after a release."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.journal.journal import Journal, RunRecord, journal_path
from engine.release.manifest import load_manifest
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.release.moved_models import examine_artifacts
from tests.engine.desk import Desk
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.promptgrad_tui.desk_project import Done, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server

URI = "ollama:desk:latest"
Prompt = tuple[tuple[str, str], ...]


class Tag:
    """A desk behind Ollama whose tag moves once the desk is asked about a ticket that holds `moves_at`."""

    def __init__(self) -> None:
        self.desk, self.moves_at = Desk(), ""
        model = FakeModel("desk:latest", context_length=1_000_000)
        self.server = OllamaServer(models=[model], default_answer=self.answer)

    def answer(self, body: dict[str, list[dict[str, str]]]) -> str:
        if self.moves_at and self.moves_at in body["messages"][-1]["content"]:
            self.server.move_tag("desk:latest")
        return self.desk.answer(body["messages"])

    def move_back(self) -> None:
        self.moves_at = ""
        self.server.move_tag("desk:latest", weights="weights")


@pytest.fixture
def tag(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tag]:
    moving = Tag()
    with moving.server as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        yield moving


def last_run(root: Path) -> RunRecord:
    with Journal.open(journal_path(root), read_only=True) as journal:
        return journal.run("last")


def asked(chats: Iterable[dict[str, Any]]) -> set[Prompt]:
    """The prompts of what was asked of Ollama."""
    return {tuple((part["role"], part["content"]) for part in chat["messages"]) for chat in chats}


def journaled(root: Path) -> set[Prompt]:
    """The prompts whose answers the journal has."""
    path = journal_path(root)
    with sqlite3.connect(path) as table, Journal.open(path, read_only=True) as journal:
        found = [journal.completion(key) for (key,) in table.execute("SELECT key FROM completions")]
    requests = [
        completion for completion in found if completion and "messages" in json.loads(completion.request)
    ]
    return {tuple(completion.messages) for completion in requests}


def write_with_reflection(root: Path, uri: str) -> None:
    """Write a project whose rules come from the tag."""
    write_project(root, uri)
    toml = root / "promptgrad.toml"
    toml.write_text(toml.read_text().replace("[model]\n", f'[model]\nreflection = "{URI}"\n'))


def told(done: Done) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_a_tag_that_moves_in_a_run_marks_it_and_leaves_no_artifact(tag: Tag, tmp_path: Path) -> None:
    write_project(tmp_path, URI)
    tag.moves_at = "Case 3"  # the test split: it is read last
    done = promptgrad("run", tmp_path, "--quiet")
    assert done.returncode == 3
    assert "is now" in told(done)
    summary = last_run(tmp_path).summary
    assert summary is not None
    assert summary.status == "error"
    assert "is now" in summary.reason
    assert not (tmp_path / "artifacts").exists()
    tag.moves_at = ""
    paid = len(tag.server.chats)
    resumed = promptgrad("-C", tmp_path, "resume", "last", "--quiet")
    assert resumed.returncode == 2
    assert "ollama:desk:latest has moved" in told(resumed)
    assert len(tag.server.chats) == paid
    compiled = promptgrad("-C", tmp_path, "compile", "--models", URI, "--quiet")
    assert compiled.returncode == 0, compiled.stderr
    assert "resuming run" not in compiled.stderr


def test_a_tag_that_is_moved_back_lets_the_run_go_on(tag: Tag, tmp_path: Path) -> None:
    """Nobody vouched for answers that were under way when the tag moved: these alone are asked again."""
    write_project(tmp_path, URI)
    tag.moves_at = "Case 3"
    assert promptgrad("run", tmp_path, "--quiet").returncode == 3
    paid, vouched = asked(tag.server.chats), journaled(tmp_path)
    lost = paid - vouched
    assert lost
    assert all("Case 3" in messages[-1][1] for messages in lost)
    tag.move_back()
    before = len(tag.server.chats)
    assert promptgrad("-C", tmp_path, "resume", "last", "--quiet").returncode == 0
    again = tag.server.chats[before:]
    anew = {prompt for prompt in asked(again) if prompt[-1][0] != "assistant"}  # no scorings
    assert anew == journaled(tmp_path) - vouched, "what was vouched for comes from the journal"
    assert lost <= asked(again)
    assert len(again) == len(asked(again)), "nothing is asked twice"
    assert last_run(tmp_path).status == "improved"


def test_a_reflection_model_that_moves_after_its_last_analysis_is_told_and_marked(
    tag: Tag, tmp_path: Path
) -> None:
    class MovesAtTheTest(Desk):
        def answer(self, messages: list[dict[str, str]]) -> str:
            if "Case 3" in messages[-1]["content"]:  # the test split: it is read last
                tag.server.move_tag("desk:latest")
            return super().answer(messages)

    with desk_server(MovesAtTheTest()) as server:
        write_with_reflection(tmp_path, server.uri)
        done = promptgrad("run", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The rules stand: they were proved on the task model." in told(done)
    summary = last_run(tmp_path).summary
    assert summary is not None
    assert summary.status == "improved"
    assert "is now" in summary.reflection_moved
    assert load_manifest(str(summary.artifact)).details["reflection_moved"] == summary.reflection_moved


def test_a_reflection_model_that_moves_at_an_analysis_ends_the_run_until_it_is_back(
    tag: Tag, tmp_path: Path
) -> None:
    """The journal would give the other model's analysis to every resume as the right one's: it isn't kept."""
    tag.moves_at = " "  # any question: it moves with the first analysis
    with desk_server() as server:
        write_with_reflection(tmp_path, server.uri)
        done = promptgrad("run", tmp_path)
        assert done.returncode == 3, "an answer that nobody vouches for is no analysis"
        assert "is now" in told(done)
        summary = last_run(tmp_path).summary
        assert summary is not None
        assert summary.status == "error"
        assert summary.artifact is None
        vouched = journaled(tmp_path)
        assert not vouched & asked(tag.server.chats)
        tag.move_back()
        calls = server.calls
        assert promptgrad("-C", tmp_path, "resume", "last", "--quiet").returncode == 0
        new = journaled(tmp_path) - vouched
        assert server.calls - calls == len(new - asked(tag.server.chats)), "the task model's answers count"
    assert last_run(tmp_path).status == "improved"


def test_an_artifact_is_refused_once_its_tag_has_moved(tag: Tag, tmp_path: Path) -> None:
    root = write_project(tmp_path / "desk", URI)
    artifact = Path(result(promptgrad("run", root, "--json", "--quiet"))["artifact"])
    assert promptgrad("-C", root, "promote", artifact).returncode == 0
    [fine] = examine_artifacts(open_project(root, {}))
    assert (fine.level, fine.text) == ("ok", "1 artifact in use, each for the model it needs")
    tag.server.move_tag("desk:latest")
    for command in (
        ("predict", artifact, "--input", "ticket=my drone is late"),
        ("recheck", "--data", root / "data" / "test.jsonl"),
    ):
        refused = promptgrad("-C", root, *command)
        assert refused.returncode == 2, command
        assert "was proved on" in told(refused)
    found = promptgrad("-C", root, "doctor")
    assert found.returncode == 1
    assert "it is another model by now" in told(found)
    changed = promptgrad("-C", root, "ci", "--report", tmp_path / "r.md", "--junit", tmp_path / "j.xml")
    assert "Changed since" in changed.stdout
    assert ": model. Running." in " ".join(changed.stdout.split())


def test_a_tag_that_moves_in_a_transfer_leaves_no_measurement(tag: Tag, tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri)
        artifact = result(promptgrad("run", tmp_path, "--json", "--quiet"))["artifact"]
    tag.moves_at = "Case 3"
    done = promptgrad("-C", tmp_path, "transfer", artifact, "--to", URI)
    assert done.returncode == 3
    assert "is now" in told(done)
    assert "measured here" not in promptgrad("-C", tmp_path, "matrix").stdout

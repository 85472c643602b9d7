"""Instructions that come from a file: a text, or a DSPy state."""

from __future__ import annotations

import json
from pathlib import Path

import dspy
import pytest

from engine.ground.errors import ProjectError
from engine.journal.events import RunStarted
from engine.project.settings import load_project
from promptgrad_tui.work.run.base_instructions import as_override, read_instructions
from tests.engine.desk import BASE
from tests.engine.project_folders import write_project as write_files
from tests.promptgrad_tui.desk_project import last_events, promptgrad, write_project
from tests.promptgrad_tui.model_server import desk_server

TEXTS = ["Route it.", 'Say "no"\n\nto \\everything\\.', "Grüße 😀\t\x7f \u2028 end", "123", "'''", "true"]


@pytest.mark.parametrize("text", TEXTS)
def test_instructions_reach_the_project_unchanged(tmp_path: Path, text: str) -> None:
    file = tmp_path / "base.txt"
    file.write_text(f"{text}\n", encoding="utf-8")
    project = load_project(write_files(tmp_path / "p"), as_override(read_instructions(file)))
    assert project.program.instructions == text


@pytest.mark.parametrize("module", [dspy.Predict, dspy.ChainOfThought])
def test_a_dspy_state_gives_its_instructions(tmp_path: Path, module: type[dspy.Module]) -> None:
    module(dspy.Signature("ticket -> queue", "From elsewhere.")).save(tmp_path / "state.json")
    assert read_instructions(tmp_path / "state.json") == "From elsewhere."


class TwoSteps(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = dspy.Predict("ticket -> summary")
        self.b = dspy.Predict("summary -> queue")


def with_demonstrations() -> dspy.Module:
    program = dspy.Predict("ticket -> queue")
    program.demos = [{"ticket": "a", "queue": "b"}]
    return program


@pytest.mark.parametrize(
    ("program", "told"), [(TwoSteps(), "2 predictors: a, b"), (with_demonstrations(), "1 demonstrations")]
)
def test_what_instructions_cannot_carry_is_refused(tmp_path: Path, program: dspy.Module, told: str) -> None:
    program.save(tmp_path / "state.json")
    with pytest.raises(ProjectError, match=told) as caught:
        read_instructions(tmp_path / "state.json")
    assert "python =" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", '{"x": {"signature": 3}}'),
        ("a.txt", " \n"),
        ("gone.txt", None),
    ],
)
def test_what_holds_no_instructions_is_refused(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ProjectError):
        read_instructions(tmp_path / name)


def test_a_run_starts_from_them_and_a_resume_needs_no_file(tmp_path: Path) -> None:
    file = tmp_path / "base.txt"
    file.write_text(f"{BASE} Be quick.\n")
    with desk_server() as server:
        root = write_project(tmp_path / "desk", server.uri)
        done = promptgrad("run", root, "--from", file, "--max-calls", "65", "--quiet")
        assert done.returncode == 0, done.stderr
        file.unlink()
        assert promptgrad("-C", root, "resume", "last", "--max-calls", "70", "--quiet").returncode == 0
    started = next(event for event in last_events(root) if isinstance(event, RunStarted))
    assert list(started.base_instructions.values()) == [f"{BASE} Be quick."]
    assert json.dumps(BASE)[1:-1] in (root / "promptgrad.toml").read_text(), "the project stays as it was"

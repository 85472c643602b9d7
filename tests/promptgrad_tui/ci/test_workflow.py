"""The workflow in docs/ is run, command by command."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.demo import demo_model_path
from models.demo.project import write_demo_project
from tests.promptgrad_tui.desk_project import write_project
from tests.promptgrad_tui.model_server import desk_server

ROOT = Path(__file__).parents[3]
WORKFLOW = yaml.safe_load((ROOT / "docs" / "github-workflow.yml").read_text())


def commands(event: str = "pull_request") -> list[str]:
    """Every command that the workflow runs at an event, in order."""
    steps = WORKFLOW["jobs"]["prompts"]["steps"]
    return [step["run"] for step in steps if "run" in step and is_due(step, event)]


def is_due(step: dict[str, Any], event: str) -> bool:
    condition = step.get("if", "")
    return "github.event_name" not in condition or f"github.event_name == '{event}'" in condition


def shell(command: str, folder: Path, **environment: str) -> None:
    """Run a command as a runner does."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def run_commands(folder: Path) -> str:
    """Run the commands in `folder`, but for the installation; return the summary."""
    summary = folder / "summary"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for command in commands():
        if not command.startswith("pip install"):
            shell(command, folder, PATH=path, GITHUB_STEP_SUMMARY=str(summary), MODEL="")
    return summary.read_text()


def test_the_workflow_installs_this_package() -> None:
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    assert f"pip install '{name}[gguf]'" in commands()


def test_the_workflow_runs_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri)
        assert "## Gates" in run_commands(tmp_path)
        calls = server.calls
        assert "Nothing to do" in run_commands(tmp_path)
        assert server.calls == calls


@pytest.mark.slow
@pytest.mark.skipif(not demo_model_path().is_file(), reason="the demo model isn't built: make demo-model")
def test_the_workflow_on_the_demo_project(tmp_path: Path) -> None:
    write_demo_project(tmp_path, seed=0)
    assert "## Gates" in run_commands(tmp_path)
    assert "Nothing to do" in run_commands(tmp_path)


class Repository:
    """A repository, the `origin` that it is pushed to, and a `gh` and a `promptgrad` that only listen."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self._origin, self._tools = folder / "checkout", folder / "origin", folder / "tools"
        self._asked, is_open = folder / "asked", folder / "is_open"
        self.checkout.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "--allow-empty", "-m", "Begin")
        self.git("clone", "--quiet", "--bare", ".", str(self._origin))
        self.git("remote", "add", "origin", str(self._origin))
        self._tools.mkdir()
        # The real one refuses a second proposal of a branch.
        self._write("gh", f'test "$2" != create || mkdir "{is_open}"')
        self._write("promptgrad", "")

    def _write(self, name: str, then: str) -> None:
        """Write a tool that notes how it was called."""
        tool = self._tools / name
        tool.write_text(f'#!/bin/sh\n(printf "%s\\t" {name} "$@"; echo) >> "{self._asked}"\n{then}\n')
        tool.chmod(0o755)

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.checkout, capture_output=True, text=True, check=True
        ).stdout

    def learn(self, version: int) -> None:
        """Leave behind what a run does whose artifact passed its gates."""
        manifest = self.checkout / "artifacts" / "desk" / "1f0c5a2b77aa" / f"v{version}" / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{}")
        (self.checkout / "report.md").write_text("# Improved\n")
        (self.checkout / ".promptgrad").mkdir(exist_ok=True)
        (self.checkout / ".promptgrad" / "journal.sqlite").touch()

    def run(self, command: str, model: str = "") -> list[list[str]]:
        """Run a command of the workflow; return what the tools were called with."""
        self._asked.write_text("")
        path = f"{self._tools}:{os.environ['PATH']}"
        shell(command, self.checkout, PATH=path, GITHUB_REF_NAME="main", MODEL=model)
        return [line.rstrip("\t").split("\t") for line in self._asked.read_text().splitlines()]

    def pushed(self, branch: str) -> list[str]:
        """Return the files on a branch of the origin."""
        self.git("fetch", "--quiet", "origin", branch)
        return self.git("ls-tree", "-r", "--name-only", "FETCH_HEAD").split()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return Repository(tmp_path)


PROPOSE = commands("schedule")[-1]


def test_only_the_calendar_and_a_person_make_it_propose() -> None:
    events = WORKFLOW[True]  # YAML reads the key `on` as true
    assert {event for event in events if PROPOSE in commands(event)} == {"schedule", "workflow_dispatch"}
    assert {*events} == {"schedule", "workflow_dispatch", "pull_request", "push"}
    assert WORKFLOW["permissions"] == {"contents": "write", "pull-requests": "write"}


def test_an_artifact_is_proposed_once_with_the_report(repository: Repository) -> None:
    repository.learn(1)
    [asked] = repository.run(PROPOSE)
    assert asked[:3] == ["gh", "pr", "create"]
    told = dict(zip(asked[3::2], asked[4::2], strict=True))
    assert (told["--body-file"], told["--base"]) == ("report.md", "main")
    assert repository.pushed(told["--head"]) == ["artifacts/desk/1f0c5a2b77aa/v1/manifest.json"]
    assert repository.run(PROPOSE) == [], "nothing has changed since"


def test_nothing_is_proposed_where_nothing_was_gained(repository: Repository) -> None:
    (repository.checkout / "report.md").write_text("# No improvement\n")
    assert repository.run(PROPOSE) == []


def test_an_open_proposal_gets_the_new_artifact_and_its_report(repository: Repository) -> None:
    repository.learn(1)
    [first] = repository.run(PROPOSE)
    branch = first[first.index("--head") + 1]
    repository.git("switch", "--quiet", "main")
    repository.git("branch", "--quiet", "-D", branch)  # the next run's checkout is a new one
    repository.learn(2)
    refused, comment = repository.run(PROPOSE)
    assert refused == first
    assert comment == ["gh", "pr", "comment", branch, "--body-file", "report.md"]
    assert repository.pushed(branch) == ["artifacts/desk/1f0c5a2b77aa/v2/manifest.json"]


def test_a_person_may_name_another_model(repository: Repository) -> None:
    assert WORKFLOW["jobs"]["prompts"]["env"] == {"MODEL": "${{ inputs.model }}"}
    assert "model" in WORKFLOW[True]["workflow_dispatch"]["inputs"]
    own = [command for command in commands() if command.startswith("promptgrad ")]
    for command in own:
        [asked] = repository.run(command)
        assert "--set" not in asked
        [asked] = repository.run(command, "ollama:qwen3:4b")
        assert asked[-2:] == ["--set", "model.task=ollama:qwen3:4b"]
    repository.learn(1)
    [asked] = repository.run(PROPOSE, "ollama:qwen3:4b")
    assert asked[asked.index("--head") + 1] == "prompts/ollama-qwen3-4b"

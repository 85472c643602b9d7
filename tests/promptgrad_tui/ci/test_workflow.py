"""The workflow in docs/ is run, command by command."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from models.demo import demo_model_path
from models.demo.project import write_demo_project
from tests.promptgrad_tui.desk_project import write_project
from tests.promptgrad_tui.model_server import desk_server

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / "docs" / "github-workflow.yml"


def commands() -> list[str]:
    """Every command of the workflow, in order."""
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["prompts"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def run_commands(folder: Path) -> str:
    """Run the commands in `folder` as a runner does, but for the installation; return the summary."""
    summary = folder / "summary"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": str(summary)}
    for command in commands():
        if command.startswith("pip install"):
            continue
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
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

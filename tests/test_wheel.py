"""What a person gets who installs the wheel: all that a run needs, and nothing else of the repository."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import write_project
from tests.promptgrad_tui.model_server import desk_server

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder that nothing else is in."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    [wheel] = folder.glob("*.whl")
    site = folder / "site"
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel, cwd=folder)
    return site


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def from_the_wheel(site: Path, *arguments: object, cwd: Path) -> Any:
    """Run `promptgrad` as it was installed and return the JSON that it prints."""
    program = (sys.executable, "-P", "-m", "promptgrad_tui")
    return json.loads(run(*program, *arguments, "--json", cwd=cwd, PYTHONPATH=str(site)))


def test_the_packages_come_from_the_wheel_and_without_the_training(installed: Path, tmp_path: Path) -> None:
    for package in ("promptgrad_tui", "engine", "models"):
        code = f"import {package}; print({package}.__file__)"
        place = run(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
        assert Path(place.strip()).is_relative_to(installed)
    assert not (installed / "models" / "demo" / "training").exists()
    assert not (installed / "tests").exists()


def test_the_demo_runs_from_the_wheel_and_its_artifact_answers(installed: Path, tmp_path: Path) -> None:
    summary = from_the_wheel(installed, "demo", "--dir", "desk", "--seed", "1", "--plain", cwd=tmp_path)
    assert summary["status"] == "improved"
    answer = from_the_wheel(
        installed,
        *("predict", summary["artifact"], "--input", "ticket=The newsletter is late."),
        cwd=tmp_path,
    )
    assert answer["queue"]


def test_a_new_project_of_the_wheel_can_be_checked(installed: Path, tmp_path: Path) -> None:
    run(sys.executable, "-P", "-m", "promptgrad_tui", "init", "mine", cwd=tmp_path, PYTHONPATH=str(installed))
    checked = from_the_wheel(installed, "check", "mine", "--no-model", cwd=tmp_path)
    assert {finding["level"] for finding in checked["findings"]} <= {"ok", "warn"}


EXTRAS = ("llama_cpp", "gepa", "openpyxl", "optuna", "pyarrow", "torch")
"""What the wheel alone must not need. DSPy brings gepa along, but only the extra `optimizers` uses it."""

WITHOUT_EXTRAS = f"""
import importlib.machinery, sys

class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {EXTRAS} else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *context):
        hidden = {("llama_cpp_python", *EXTRAS[1:])}
        return (d for d in super().find_distributions(*context) if d.metadata["Name"] not in hidden)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Without
"""


def test_without_the_extras_a_server_does_the_whole_job(installed: Path, tmp_path: Path) -> None:
    """The wheel where no extra is installed: nothing that a server's model needs is missing."""
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text(WITHOUT_EXTRAS)
    where = {"PYTHONPATH": f"{without}{os.pathsep}{installed}"}
    program = (sys.executable, "-P", "-m", "promptgrad_tui")
    present = run(
        sys.executable,
        "-P",
        "-c",
        f"import importlib.util as u; print([name for name in {EXTRAS} if u.find_spec(name)])",
        cwd=tmp_path,
        **where,
    )
    assert present.strip() == "[]"
    with desk_server() as server:
        project = write_project(tmp_path / "desk", server.uri)
        checked = json.loads(run(*program, "check", project, "--json", cwd=tmp_path, **where))
        assert {finding["level"] for finding in checked["findings"]} <= {"ok", "warn"}
        summary = json.loads(run(*program, "run", project, "--quiet", "--json", cwd=tmp_path, **where))
        assert summary["status"] == "improved"
        told = (*program, "predict", summary["artifact"], "--input", "ticket=I paid twice", "--json")
        assert json.loads(run(*told, cwd=tmp_path, **where))["queue"]
    refused = subprocess.run(
        [*program, "demo", "--plain"],
        cwd=tmp_path,
        env={**os.environ, **where},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 3
    assert "llama-cpp-python, which isn't installed" in " ".join(refused.stderr.split())
    assert "promptgrad-tui[gguf]" in refused.stderr

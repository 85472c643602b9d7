"""Small things on the command line: the project after the command, keys for one check, results as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.journal.events import RolloutFinished
from promptgrad_tui import __version__
from tests.promptgrad_tui.desk_project import last_events, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a finished run."""
    with desk_server() as server:
        root = write_project(tmp_path_factory.mktemp("desk"), server.uri)
        assert promptgrad("run", root, "--quiet", "--json").returncode == 0
        yield root


def test_the_project_may_stand_after_the_command(project: Path) -> None:
    before, after = promptgrad("-C", project, "show", "last"), promptgrad("show", "last", "-C", project)
    assert (after.returncode, after.stdout) == (0, before.stdout)
    assert (
        promptgrad("runs", "-C", project, "--json").stdout
        == promptgrad("-C", project, "runs", "--json").stdout
    )
    assert "-C DIR" in promptgrad("show", "--help").stdout


def test_a_check_takes_keys_for_itself_alone(project: Path) -> None:
    text = (project / "promptgrad.toml").read_text()
    checked = result(promptgrad("check", project, "--no-model", "--json", "--set", "metric.field=priority"))
    assert any("priority" in finding["text"] for finding in checked["findings"])
    assert result(promptgrad("check", project, "--no-model", "--json"))["findings"] != checked["findings"]
    assert (project / "promptgrad.toml").read_text() == text


def test_resume_without_a_name_says_that_every_run_is_finished(project: Path) -> None:
    refused = promptgrad("resume", "-C", project)
    assert refused.returncode == 2
    assert "every run is finished" in refused.stderr


def test_results_of_a_run_are_a_table(project: Path, tmp_path: Path) -> None:
    rollouts = [event for event in last_events(project) if isinstance(event, RolloutFinished)]
    rows = list(
        csv.DictReader(io.StringIO(promptgrad("export", "last", "--to", "csv", "-C", project).stdout))
    )
    assert len(rows) == len(rollouts) > 60
    assert [float(row["score"]) for row in rows] == [event.score for event in rollouts]
    assert [json.loads(row["prediction"]) for row in rows] == [event.prediction for event in rollouts]
    baseline = [row for row in rows if row["is_baseline"] == "True" and row["split"] == "validation"]
    assert len(baseline) == 30

    parquet = pytest.importorskip("pyarrow.parquet")
    assert promptgrad("export", "last", "--to", "parquet", "-C", project).returncode == 2
    file = tmp_path / "results.parquet"
    assert promptgrad("export", "last", "--to", "parquet", "--out", file, "-C", project).returncode == 0
    assert parquet.read_table(file).column("score").to_pylist() == [event.score for event in rollouts]


def test_the_version_is_told() -> None:
    assert promptgrad("--version").stdout == f"promptgrad, version {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    told = promptgrad(_PROMPTGRAD_COMPLETE=f"{shell}_source")
    assert told.returncode == 0
    assert "_PROMPTGRAD_COMPLETE" in told.stdout

"""Small things on the command line: the project after the command, keys for one check, results as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import dspy
import pytest

from engine.journal.events import RolloutFinished
from promptgrad_tui import __version__
from promptgrad_tui.commands.help.pages import TOPICS
from tests.engine.desk import learned
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


def test_a_run_is_written_into_an_mlflow_store(project: Path, tmp_path: Path) -> None:
    store = tmp_path / "mlruns"
    for _ in range(2):  # the second time it takes the place of the first
        assert promptgrad("export", "last", "--to", "mlflow", "--out", store, "-C", project).returncode == 0
    [run] = [meta.parent for meta in store.glob("*/*/meta.yaml")]
    shown = result(promptgrad("show", "last", "--json", "-C", project))
    test = (run / "metrics" / "test_optimized").read_text().split()
    assert float(test[1]) == shown["summary"]["optimized"]["test"]["score"]
    steps = [
        line.split() for line in (run / "metrics" / "validation_score_by_epoch").read_text().splitlines()
    ]
    assert [(float(value), int(step)) for _, value, step in steps] == [
        (epoch["validation"]["score"], epoch["epoch"]) for epoch in shown["epochs"]
    ]
    assert (run / "params" / "epochs").read_text() == "1"
    assert (run / "tags" / "mlflow.runName").read_text() == shown["run"]
    table = list(csv.DictReader(io.StringIO((run / "artifacts" / "results.csv").read_text())))
    assert len(table) == len([e for e in last_events(project) if isinstance(e, RolloutFinished)])
    if find_spec("mlflow"):  # it isn't needed to write a store; where it is, it reads one
        mlflow = import_module("mlflow")
        [read] = mlflow.MlflowClient(store.as_uri()).search_runs([run.parent.name])
        assert read.data.metrics["test_optimized"] == float(test[1])


def test_a_whole_program_is_written_on_request_and_with_the_warning(project: Path, tmp_path: Path) -> None:
    artifact = result(promptgrad("show", "last", "--json", "-C", project))["summary"]["artifact"]
    refused = promptgrad("export", artifact, "--to", "program", "-C", project)
    assert refused.returncode == 2
    done = promptgrad("export", artifact, "--to", "program", "--out", tmp_path / "whole", "-C", project)
    assert done.returncode == 0, done.stderr
    assert "whoever loads it runs the code that is in it" in " ".join(done.stderr.split())
    loaded = dspy.load(str(tmp_path / "whole"), allow_pickle=True)
    assert learned(loaded.signature.instructions)
    again = promptgrad("export", artifact, "--to", "program", "--out", tmp_path / "whole", "-C", project)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_help_is_on_commands_pages_and_words() -> None:
    topics = promptgrad("help").stdout
    for topic in TOPICS:
        assert f"\n{topic} " in topics
        assert len(promptgrad("help", topic).stdout.splitlines()) > 10, topic
    assert "hf:OWNER/REPO" in promptgrad("help", "models").stdout
    assert promptgrad("help", "models", "pull").stdout == promptgrad("models", "pull", "--help").stdout
    assert promptgrad("help", "run").stdout == promptgrad("run", "--help").stdout
    assert "One run of the program on one example" in promptgrad("help", "rollout").stdout
    wrong = promptgrad("help", "modles")
    assert (wrong.returncode, "Did you mean models?" in wrong.stderr) == (2, True)


def test_the_version_is_told() -> None:
    assert promptgrad("--version").stdout == f"promptgrad, version {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    told = promptgrad(_PROMPTGRAD_COMPLETE=f"{shell}_source")
    assert told.returncode == 0
    assert "_PROMPTGRAD_COMPLETE" in told.stdout

"""Compilation for several models, transfers and rechecks through the command line."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from engine.ground.errors import RevisionMismatchError
from engine.journal.events import TestOpened
from engine.journal.journal import Journal, journal_path
from engine.release.manifest import load_manifest
from models import open_model
from promptgrad_tui import load_artifact
from tests.engine.desk import tickets
from tests.engine.project_folders import write_lines
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import promptgrad, result, started, wait_for, write_project
from tests.promptgrad_tui.model_server import desk_server


def matrix(root):
    return json.loads(promptgrad("-C", root, "matrix", "--json").stdout)


def test_compile_fills_cells_one_after_another_and_leaves_filled_ones(tmp_path):
    with desk_server() as one, desk_server(name="another") as other:
        write_project(tmp_path, one.uri, n=40)
        models = f"{one.uri},{other.uri}"
        done = promptgrad("-C", tmp_path, "compile", "--models", models, "--quiet")
        assert done.returncode == 0, done.stderr
        entries = matrix(tmp_path)
        assert [entry["model"]["uri"] for entry in entries] == [one.uri, other.uri]
        assert len({entry["cell"] for entry in entries}) == 2
        calls = one.calls, other.calls
        again = promptgrad("-C", tmp_path, "compile", "--models", models, "--quiet")
        assert again.stderr.count("filled already") == 2
        assert (one.calls, other.calls) == calls
        assert matrix(tmp_path) == entries


def test_an_interrupted_compilation_pays_for_nothing_twice(tmp_path):
    with desk_server() as whole, desk_server() as server:
        write_project(tmp_path / "whole", whole.uri, n=40)
        promptgrad("-C", tmp_path / "whole", "compile", "--models", whole.uri, "--quiet")
        write_project(tmp_path / "cut", server.uri, n=40)
        arguments = ("-C", tmp_path / "cut", "compile", "--models", server.uri, "--quiet")
        promptgrad(*arguments, "--max-calls", 120)
        assert server.calls <= 120
        assert promptgrad(*arguments).returncode == 0
        assert server.calls == whole.calls


def test_a_compilation_that_was_stopped_goes_on_with_its_run(tmp_path):
    with desk_server() as server:
        server.answers = 60  # of more than 130: the baseline's and the test split's on 40 examples each
        write_project(tmp_path, server.uri, n=40)
        arguments = ("-C", tmp_path, "compile", "--models", server.uri, "--quiet")
        process = started(*arguments)
        wait_for(tmp_path, "batch", process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
        server.release()
        [stopped] = runs(tmp_path)
        assert stopped.status == "stopped"
        done = promptgrad(*arguments)
        assert done.returncode == 0, done.stderr
        assert f"resuming run {stopped.id} (stopped)" in done.stderr
    [ended] = runs(tmp_path)
    assert (ended.id, ended.status) == (stopped.id, "improved")
    assert promptgrad("-C", tmp_path, "runs").stdout.count("improved") == 1


def test_a_compilation_for_a_project_that_has_changed_is_another_run(tmp_path):
    with desk_server() as server:
        write_project(tmp_path, server.uri, n=40)
        arguments = ("-C", tmp_path, "compile", "--models", server.uri, "--quiet")
        server.is_down = True
        assert promptgrad(*arguments).returncode == 3
        server.is_down = False
        toml = tmp_path / "promptgrad.toml"
        toml.write_text(toml.read_text().replace("Route the ticket", "Send the ticket"))
        assert promptgrad(*arguments).returncode == 0
    assert [run.status for run in runs(tmp_path)] == ["error", "improved"]


def runs(root):
    with Journal.open(journal_path(root), read_only=True) as journal:
        return journal.runs()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    root = tmp_path_factory.mktemp("compiled")
    with desk_server() as server:
        write_project(root, server.uri, n=40)
        artifact = result(promptgrad("run", root, "--json", "--quiet"))["artifact"]
        yield root, Path(artifact), server


def test_a_transfer_measures_and_changes_nothing(compiled):
    root, artifact, _ = compiled
    before = matrix(root)
    with desk_server(name="another") as other:
        arguments = ("-C", root, "transfer", artifact, "--to", other.uri, "--json")
        told = result(promptgrad(*arguments))
        assert told["model"]["uri"] == other.uri
        assert told["gain"]["score"] > 0
        assert told["test_opening"] == 2
        assert told["passed"] is True
        paid = other.calls
        assert result(promptgrad(*arguments)) == told
        assert other.calls == paid
        lines = promptgrad(*arguments[:-1]).stdout
        with open_model(other.uri) as model, pytest.raises(RevisionMismatchError):
            load_artifact(artifact, model)
    assert "This is only a measurement" in " ".join(lines.split())
    assert "opened 2 times" in lines
    *artifacts, transferred = matrix(root)
    assert artifacts == before
    assert (transferred["kind"], transferred["loadable"]) == ("transfer", False)
    assert transferred["proved"] == [str(artifact)]
    assert transferred["model"]["uri"] == other.uri
    assert transferred["cell"] not in {entry["cell"] for entry in artifacts}
    assert (transferred["test"], transferred["gain"]) == (told["optimized"], told["gain"])
    manifest = load_manifest(artifact)
    shown = promptgrad("-C", root, "matrix").stdout
    here = shown[shown.index(f"on {other.uri}") :]
    assert "measured here, proved there; not loadable:" in here
    assert str(artifact) in "".join(here.split())
    with Journal.open(journal_path(root), read_only=True) as journal:
        opened = [event for _, event in journal.events_of_all_runs(TestOpened)]
        assert [event.purpose for event in opened] == ["release", "transfer"]
        assert manifest.run in [run.id for run in journal.runs()]


def test_a_transfer_is_stale_once_the_project_has_changed(compiled, tmp_path):
    root, artifact, _ = compiled
    copy = shutil.copytree(root, tmp_path / "copy")
    with desk_server(name="third") as third:
        done = promptgrad("-C", copy, "transfer", copy / artifact.relative_to(root), "--to", third.uri)
        assert done.returncode == 0, done.stderr
        assert matrix(copy)[-1]["stale"] == []
        write_lines(copy / "data/test.jsonl", tickets(30, 9))
        assert matrix(copy)[-1]["stale"] == ["data.test"]
        again = promptgrad("-C", copy, "transfer", copy / artifact.relative_to(root), "--to", third.uri)
        assert again.returncode == 0, again.stderr
    found = [row for row in matrix(copy) if row["kind"] == "transfer" and row["model"]["uri"] == third.uri]
    assert [(row["stale"], row["test"]["n"]) for row in found] == [([], 30)], "the latest measurement counts"


def test_a_transfer_to_the_artifacts_own_model_is_refused(compiled):
    root, artifact, server = compiled
    done = promptgrad("-C", root, "transfer", artifact, "--to", server.uri)
    assert done.returncode == 2
    assert "that same model" in done.stderr


def labelled(path, n, seed=11, wrong=0):
    rows = tickets(n, seed)
    for row in rows[:wrong]:
        row["queue"] = "elsewhere"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_recheck_of_the_current_artifact_on_new_data(compiled, tmp_path):
    root, artifact, _ = compiled
    data = labelled(tmp_path / "new.jsonl", 60)
    unreleased = promptgrad("-C", root, "recheck", "--data", data)
    assert unreleased.returncode == 2
    assert promptgrad("-C", root, "promote", artifact).returncode == 0
    fine = promptgrad("-C", root, "recheck", "--data", data)
    assert fine.returncode == 0, fine.stderr
    assert "No reason to recompile" in fine.stdout
    assert re.search(r"drop of up to 0\.\d{3}\s+can't\s+be\s+ruled\s+out\s+on\s+\d+", fine.stdout)
    drifted = labelled(tmp_path / "drifted.jsonl", 60, wrong=40)
    done = promptgrad("-C", root, "recheck", "--data", drifted, "--json")
    assert done.returncode == 1
    told = result(done)
    assert told["recompile"] is True
    assert told["scores"][0]["change"]["high"] < 0
    assert "Recompile" in promptgrad("-C", root, "recheck", artifact, "--data", drifted).stdout


def test_a_recheck_needs_labels(compiled, tmp_path):
    root, artifact, _ = compiled
    data = tmp_path / "unlabelled.jsonl"
    data.write_text('{"ticket": "Where is my parcel?"}\n')
    refused = promptgrad("-C", root, "recheck", artifact, "--data", data)
    assert refused.returncode == 2
    said = " ".join(refused.stderr.split())
    assert "line 1: the field 'queue' is missing; it is compared by the metric." in said
    assert "[metric]" not in said


def test_a_recheck_says_which_examples_are_not_new(compiled, tmp_path):
    root, artifact, _ = compiled
    data = labelled(tmp_path / "old.jsonl", 40, seed=1)
    told = result(promptgrad("-C", root, "recheck", artifact, "--data", data, "--json"))
    assert told["seen"] == 40

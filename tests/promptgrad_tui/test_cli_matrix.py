"""Compilation for several models, transfers and rechecks through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.journal import Journal, journal_path
from engine.manifest import load_manifest
from tests.engine.desk import tickets
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
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
    assert "A measurement only" in lines
    assert "opened 2 times" in lines
    assert matrix(root) == before
    manifest = load_manifest(artifact)
    with Journal.open(journal_path(root), read_only=True) as journal:
        opened = [event for _, event in journal.events_of_kind("test_opened")]
        assert [event.purpose for event in opened] == ["release", "transfer"]
        assert manifest.run in [run.id for run in journal.runs()]


def test_a_transfer_to_the_artifacts_own_model_is_refused(compiled):
    root, artifact, server = compiled
    done = promptgrad("-C", root, "transfer", artifact, "--to", server.uri)
    assert done.returncode == 2
    assert "that very model" in done.stderr


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
    drifted = labelled(tmp_path / "drifted.jsonl", 60, wrong=40)
    done = promptgrad("-C", root, "recheck", "--data", drifted, "--json")
    assert done.returncode == 1
    told = result(done)
    assert told["recompile"] is True
    assert told["scores"][0]["change"]["high"] < 0
    assert "Recompile" in promptgrad("-C", root, "recheck", artifact, "--data", drifted).stdout


def test_a_recheck_says_which_examples_are_not_new(compiled, tmp_path):
    root, artifact, _ = compiled
    data = labelled(tmp_path / "old.jsonl", 40, seed=1)
    told = result(promptgrad("-C", root, "recheck", artifact, "--data", data, "--json"))
    assert told["seen"] == 40

"""Where a person says that something lies, and where it is to be written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.promptgrad_tui.desk_project import Done, promptgrad, promptgrad_process, result, write_project
from tests.promptgrad_tui.model_server import desk_server


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project in a folder with a space in its name, and its artifact."""
    root = tmp_path_factory.mktemp("made") / "the desk"
    with desk_server() as server:
        write_project(root, server.uri)
        yield root, Path(result(promptgrad("run", root, "--json", "--quiet"))["artifact"])


def told(done: Done) -> str:
    """What stands on stderr, without its line breaks."""
    return " ".join(done.stderr.split())


def test_an_artifact_is_looked_for_in_the_project_too(made, monkeypatch):
    root, artifact = made
    below = artifact.relative_to(root)
    monkeypatch.chdir(root.parent)
    assert promptgrad("-C", root.name, "gate", below).returncode == 0
    assert promptgrad("-C", root.name, "export", below, "--to", "text").stdout
    asked = ("predict", below, "--input", "ticket=Case 9: my drone is late.", "--json")
    assert result(promptgrad("-C", root.name, *asked)) == {"queue": "aviation"}
    found = promptgrad("-C", root.name, "recheck", below, "--data", "data/test.jsonl", "--json")
    assert result(found)["seen"] == 30


def test_what_the_current_folder_has_comes_first(made, monkeypatch, tmp_path):
    root, artifact = made
    shutil.copytree(artifact, tmp_path / artifact.relative_to(root))
    (tmp_path / artifact.relative_to(root) / "program.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    done = promptgrad("-C", root, "gate", artifact.relative_to(root))
    assert "was changed after it was saved" in told(done)


def test_an_artifact_that_is_nowhere(made):
    root, _ = made
    done = promptgrad("-C", root, "gate", "artifacts/nowhere/v1")
    assert done.returncode == 2
    assert "no folder artifacts/nowhere/v1. `promptgrad matrix` lists" in done.stderr


def test_an_artifact_outside_of_a_project_never_becomes_current(made, tmp_path):
    root, artifact = made
    copied = shutil.copytree(artifact, tmp_path / "a" / "b" / "copied")
    done = promptgrad("-C", root, "promote", copied)
    assert done.returncode == 2
    assert "isn't where it was saved: artifacts/NAME/REVISION/VERSION" in told(done)
    assert not list(tmp_path.glob("releases.json"))


@pytest.mark.parametrize("options", [("report", "last", "--html"), ("report", "last", "--markdown")])
def test_a_report_needs_a_folder_that_exists(made, tmp_path, options):
    done = promptgrad("-C", made[0], *options, tmp_path / "none" / "out")
    assert done.returncode == 2
    assert "can't be written: No such file or directory." in told(done)
    assert "create it first" in told(done)


def test_an_export_and_answers_need_a_folder_that_exists(made, tmp_path):
    root, artifact = made
    out = tmp_path / "none" / "out"
    assert promptgrad("export", artifact, "--to", "python", "--out", out).returncode == 2
    done = promptgrad("predict", artifact, "--file", root / "data/test.jsonl", "--out", out)
    assert done.returncode == 2
    assert "can't be written" in told(done)


def test_an_export_of_the_wrong_kind_names_the_right_one(made, tmp_path, monkeypatch):
    root, artifact = made
    monkeypatch.chdir(root)
    run = json.loads(promptgrad("runs", "--json").stdout)[-1]["run"]
    of_artifact = promptgrad("export", artifact, "--to", "csv")
    of_run = promptgrad("export", "last", "--to", "python")
    assert (of_artifact.returncode, of_run.returncode) == (2, 2)
    assert f"promptgrad export {run} --to csv" in told(of_artifact)
    assert "--to python takes an artifact, and last is a run." in told(of_run)
    assert f"export {Path(artifact).relative_to(root)} --to python" in told(of_run)


def test_a_folder_that_is_called_like_a_run_is_no_artifact(made, tmp_path, monkeypatch):
    (tmp_path / "last").mkdir()
    monkeypatch.chdir(tmp_path)
    done = promptgrad("-C", made[0], "export", "last", "--to", "csv", "--out", tmp_path / "run.csv")
    assert done.returncode == 0, told(done)
    assert (tmp_path / "run.csv").is_file()


def test_ci_says_before_the_run_that_its_report_cannot_be_written(made, tmp_path):
    done = promptgrad("ci", tmp_path / "no-project", "--report", tmp_path / "none" / "report.md")
    assert done.returncode == 2
    assert "can't be written" in told(done)


def test_a_demo_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    done = promptgrad("demo", "--dir", tmp_path / "file" / "desk", "--plain")
    assert done.returncode == 2
    assert "can't be written: Not a directory." in told(done)


def test_what_is_too_long_for_the_context_is_told_once(made, tmp_path):
    root = shutil.copytree(made[0], tmp_path / "demo")
    shutil.rmtree(root / "artifacts")
    file = root / "promptgrad.toml"
    uri = next(line for line in file.read_text().splitlines() if line.startswith("task"))
    file.write_text(file.read_text().replace(uri, 'task = "demo"'))
    lines = (root / "data/train.jsonl").read_text().splitlines()
    long = {**json.loads(lines[16]), "ticket": "late " * 5000}
    (root / "data/train.jsonl").write_text("\n".join([*lines[:16], json.dumps(long), *lines[17:]]) + "\n")
    done = promptgrad("run", root, "--plain")
    assert done.returncode == 2
    assert "tokens and the context holds 4,096" in told(done)
    assert "Clear conversation history" not in told(done)


def test_a_project_that_was_moved_goes_on_where_it_is(tmp_path):
    before, now = tmp_path / "before", tmp_path / "now"
    with desk_server() as server:
        write_project(before, server.uri)
        assert promptgrad("run", before, "--max-calls", "80", "--quiet").returncode == 0
        before.rename(now)
        told = result(promptgrad("-C", now, "resume", "last", "--max-calls", "9999", "--json", "--quiet"))
    assert told["status"] == "improved"
    assert Path(told["artifact"]).is_relative_to(now)
    assert not before.exists()
    third = now.rename(tmp_path / "third")
    assert str(third) in "".join(
        promptgrad("-C", third, "show", "last").stdout.partition("Artifact:")[2].split()
    )
    [run] = result(promptgrad("-C", third, "runs", "--json"))
    assert Path(run["artifact"]).is_dir()


def test_an_artifact_is_compared_from_anywhere_with_its_projects_journal(made, monkeypatch, tmp_path):
    root, artifact = made
    asked = ("compare", "baseline", artifact, "--json")
    monkeypatch.chdir(tmp_path)
    elsewhere = result(promptgrad(*asked))
    assert elsewhere["notes"] == []
    assert elsewhere["examples"][0]["fields"]["ticket"]
    monkeypatch.chdir(root)
    assert result(promptgrad(*asked)) == elsewhere


def test_commands_to_copy_hold_in_a_folder_with_a_space(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my desk").mkdir()
    assert "`promptgrad init 'my desk'`" in told(promptgrad("run", "my desk"))
    assert "then: promptgrad check 'my desk'" in told(promptgrad("init", "my desk"))


def test_a_hint_names_the_project_where_it_is_typed_outside_of_it(made, monkeypatch):
    root, artifact = made
    run = json.loads(promptgrad("-C", root, "runs", "--json").stdout)[-1]["run"]
    asked = ("export", artifact, "--to", "csv")
    monkeypatch.chdir(root.parent)
    for done in (promptgrad("-C", root.name, *asked), promptgrad(*asked, "-C", root.name)):
        assert f"promptgrad -C 'the desk' export {run} --to csv" in told(done)
    monkeypatch.chdir(root)
    assert f"promptgrad export {run} --to csv" in told(promptgrad(*asked))


def test_doctor_looks_at_the_journal_of_a_project_in_a_folder_below(made, monkeypatch):
    root, _ = made
    monkeypatch.chdir(root.parent)
    found = json.loads(promptgrad("-C", root.name, "doctor", "--json").stdout)["findings"]
    (journal,) = [finding for finding in found if finding["subject"] == "journal"]
    assert journal["level"] == "ok"
    assert "1 run" in journal["text"]


def test_a_field_may_have_the_name_of_a_method_of_dspy(tmp_path):
    root = write_project(tmp_path, "demo")
    for file in (root / "promptgrad.toml", *root.glob("data/*")):
        file.write_text(file.read_text().replace("queue", "copy"))
    done = promptgrad_process("check", root, "--no-model")
    assert (done.returncode, done.stderr) == (0, "")

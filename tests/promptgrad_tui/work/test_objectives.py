"""A margin that the data can't show is said by a check, and by a run before it opens a model."""

from __future__ import annotations

from pathlib import Path

from tests.promptgrad_tui.desk_project import promptgrad, result, write_project


def test_a_margin_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    project = write_project(tmp_path, "openai:http://127.0.0.1:9/v1#nobody")
    margin = ("--set", "objectives.margin=0.02")
    found = result(promptgrad("check", project, "--no-model", "--json", *margin))["findings"][-1]
    assert (found["level"], found["field"]) == ("fail", "objectives.margin")
    assert "margin = 0.02 can't be shown on 30 examples" in found["text"]
    ran = promptgrad("run", project, "--quiet", *margin)
    assert ran.returncode == 2
    assert "can't be shown on 30 examples" in " ".join(ran.stderr.split())


def test_of_held_out_examples_a_check_says_so_too(tmp_path: Path) -> None:
    project = write_project(tmp_path, "demo")
    file = project / "promptgrad.toml"
    file.write_text(file.read_text().replace('validation = "data/validation.jsonl"\n', ""))
    done = promptgrad("check", project, "--no-model", "--set", "objectives.margin=0.1")
    assert "can't be shown on 6 examples" in " ".join(done.stdout.split())

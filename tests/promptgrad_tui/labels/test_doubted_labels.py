"""Labels that a run doubts: found in a whole run, listed, corrected, excluded, and told by the next run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.journal.events import EpochFinished, Notice
from engine.project.settings import load_project
from tests.engine.project_folders import two_drives
from tests.promptgrad_tui.desk_project import last_events, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server


def planted(root: Path) -> dict[str, str]:
    """Give two validation examples with a rule of their own another label; return what they were."""
    file = root / "data" / "validation.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    right = {}
    for place, wrong in (("drone", "legal"), ("visa", "music")):
        row = next(row for row in rows if place in row["ticket"])
        right[row["id"]] = row["queue"]
        row["queue"] = wrong
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return right


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("labels")
    with desk_server() as server:
        write_project(root, server.uri, n=40, epochs=2)
        right = planted(root)
        done = promptgrad("run", root, "--json")
        assert done.returncode == 0, done.stderr
        yield root, right, server


@pytest.fixture
def desk(ran, tmp_path):
    root, right, server = ran
    return shutil.copytree(root, tmp_path / "desk"), right, server


def rows_of(root: Path) -> dict[str, dict]:
    found = result(promptgrad("-C", root, "labels", "--json"))["labels"]
    lines = (root / "data" / "validation.jsonl").read_text().splitlines()
    return {json.loads(lines[row["line"] - 1])["id"]: row for row in found}


def test_the_planted_labels_are_doubted_and_no_others(ran):
    root, right, _ = ran
    found = rows_of(root)
    assert {name: row["answer"] for name, row in found.items()} == right
    assert all(row["file"] == str(Path("data/validation.jsonl")) for row in found.values())
    assert all(row["alike"] >= 2 and row["probability"] is None for row in found.values())


def test_show_json_and_report_name_them(ran, tmp_path):
    root, right, _ = ran
    shown = " ".join(promptgrad("-C", root, "show", "last").stdout.split())
    assert "2 labels to look at: probably wrong" in shown
    assert "expects legal, but every version says otherwise: aviation" in shown
    told = result(promptgrad("-C", root, "show", "last", "--json"))["doubted_labels"]
    assert {row["answer"] for row in told} == set(right.values())
    markdown, html = tmp_path / "report.md", tmp_path / "report.html"
    done = promptgrad("-C", root, "report", "last", "--markdown", markdown, "--html", html)
    assert done.returncode == 0, done.stderr
    for file in (markdown, html):
        text = file.read_text()
        assert "Labels to look at" in text
        assert "aviation" in text.split("Labels to look at")[-1]


def test_a_corrected_label_changes_nothing_else_and_the_next_run_says_so(desk):
    root, _, _ = desk
    file = root / "data" / "validation.jsonl"
    before = file.read_text().splitlines()
    found = rows_of(root)
    number = next(row["number"] for row in found.values() if row["answer"] == "aviation")
    other = next(row["number"] for row in found.values() if row["answer"] == "legal")
    line = next(row["line"] for row in found.values() if row["answer"] == "aviation")

    done = promptgrad("-C", root, "labels", "correct", number)
    assert done.returncode == 0, done.stderr
    after = file.read_text().splitlines()
    assert json.loads(after[line - 1]) == {**json.loads(before[line - 1]), "queue": "aviation"}
    assert [row for row in range(len(before)) if before[row] != after[row]] == [line - 1]

    toml = root / "promptgrad.toml"
    toml.write_text(toml.read_text().replace("[data]\n", "[data]  # our tickets\n"))
    assert promptgrad("-C", root, "labels", "exclude", other).returncode == 0
    assert "[data]  # our tickets" in toml.read_text()
    assert "# data/validation.jsonl, line" in toml.read_text()
    assert len(load_project(root).data.exclude) == 1
    states = {
        row["number"]: row["state"] for row in result(promptgrad("-C", root, "labels", "--json"))["labels"]
    }
    assert states == {number: "changed", other: "excluded"}
    again = promptgrad("-C", root, "labels", "correct", number)
    assert again.returncode == 2
    assert "has changed since the run" in again.stderr

    assert promptgrad("run", root, "--json").returncode == 0
    told = [
        event.text
        for event in last_events(root)
        if isinstance(event, Notice) and event.id == "labels changed"
    ]
    assert len(told) == 1
    assert "1 of the labels that it doubted was corrected" in told[0]
    assert f"line {line}: legal is now aviation" in told[0]
    assert "1 of the labels that it doubted was taken out" in told[0]
    assert rows_of(root) == {}


def test_undo_takes_a_correction_and_an_exclusion_back(desk):
    root, _, _ = desk
    files = (root / "data" / "validation.jsonl", root / "promptgrad.toml")
    before = [file.read_bytes() for file in files]
    assert promptgrad("-C", root, "labels", "correct", 1).returncode == 0
    assert promptgrad("-C", root, "labels", "exclude", 2).returncode == 0
    answer = result(promptgrad("-C", root, "labels", "--json"))["labels"][0]["answer"]
    assert f"\u2192 {answer}" in promptgrad("-C", root, "labels").stdout
    assert "again." in promptgrad("-C", root, "labels", "undo", 1).stdout
    assert "it is no longer excluded." in promptgrad("-C", root, "labels", "undo", 2).stdout
    assert [file.read_bytes() for file in files] == before
    again = promptgrad("-C", root, "labels", "undo", 1)
    assert again.returncode == 2
    assert "nothing was corrected or excluded" in again.stderr


def test_an_example_on_another_drive_is_excluded_with_its_whole_path(desk):
    root, _, _ = desk
    with two_drives():
        done = promptgrad("-C", root, "labels", "exclude", 1)
    assert done.returncode == 0, done.stderr
    assert f"# {root / 'data' / 'validation.jsonl'}, line" in (root / "promptgrad.toml").read_text()


def test_open_hands_the_line_to_the_editor(desk, monkeypatch, tmp_path):
    root, _, _ = desk
    editor = tmp_path / "vi"
    editor.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    line = result(promptgrad("-C", root, "labels", "--json"))["labels"][0]["line"]
    assert promptgrad("-C", root, "labels", "open", 1).returncode == 0
    opened = (tmp_path / "opened").read_text().split()
    assert opened == [f"+{line}", str(root / "data" / "validation.jsonl")]


def calls_of_the_first_epoch(root: Path) -> int:
    """How many calls a run had paid for when its first epoch was scored."""
    paid: set[str] = set()
    for event in last_events(root):
        paid.update(getattr(event, "completions", ()))
        if isinstance(event, EpochFinished) and event.epoch == 1:
            return len(paid)
    raise AssertionError("the run has no such epoch")


def test_a_run_that_its_budget_ends_lists_them_too(ran, tmp_path):
    whole, right, server = ran
    proof, next_epoch = 80, 5
    budget = calls_of_the_first_epoch(whole) + proof + next_epoch
    root = write_project(tmp_path / "desk", server.uri, n=40, epochs=2)
    planted(root)
    told = result(promptgrad("run", root, "--json", "--max-calls", budget))
    assert (told["status"], told["calls"] <= budget) == ("budget", True)
    assert {name: row["answer"] for name, row in rows_of(root).items()} == right
    resumed = promptgrad("-C", root, "resume", "--json", "--max-calls", 5000)
    assert resumed.returncode == 0, resumed.stderr
    assert rows_of(root) == rows_of(whole)


def test_a_number_that_is_not_in_the_list_is_refused(desk):
    root, _, _ = desk
    done = promptgrad("-C", root, "labels", "correct", 9)
    assert done.returncode == 2
    assert "The list has 2 labels" in done.stderr

"""Runs are named, noted and deleted; what others rely on outlives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.journal.events import EpochFinished, TestFinished
from engine.journal.journal import Journal
from tests.promptgrad_tui.desk_project import promptgrad
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


def test_a_name_stands_for_the_id_everywhere(recorded: RecordedRun) -> None:
    done = promptgrad("-C", recorded.folder, "runs", "name", "last", "first try", "--note", "old labels")
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(promptgrad("-C", recorded.folder, "runs", "--json").stdout)
    assert (run["run"], run["name"], run["note"]) == (recorded.run, "first try", "old labels")
    assert "first try" in promptgrad("-C", recorded.folder, "runs").stdout
    shown = json.loads(promptgrad("-C", recorded.folder, "show", "first try", "--json").stdout)
    assert shown["run"] == recorded.run
    promptgrad("-C", recorded.folder, "runs", "name", "first try", "")
    (run,) = json.loads(promptgrad("-C", recorded.folder, "runs", "--json").stdout)
    assert (run["name"], run["note"]) == ("", "old labels")


def test_two_runs_never_have_one_name(recorded: RecordedRun) -> None:
    other = recorded.journal.create_run(recorded.folder, {"seed": 1, "budget": {"max_calls": None}}).id
    assert promptgrad("-C", recorded.folder, "runs", "name", recorded.run, "mine").returncode == 0
    done = promptgrad("-C", recorded.folder, "runs", "name", other, "mine")
    assert done.returncode != 0
    assert "called 'mine' already" in done.stderr


def test_a_deleted_run_is_gone_but_not_what_it_counted(recorded: RecordedRun) -> None:
    journal = recorded.journal
    paid = journal.completions_paid(recorded.run)
    assert paid > 0
    opened = len(journal.events_of_all_runs(TestFinished))
    assert opened > 0
    refused = promptgrad("-C", recorded.folder, "runs", "delete", "last")
    assert refused.returncode != 0
    assert "--yes deletes without asking" in refused.stderr
    assert len(journal.runs()) == 1, "nobody has answered the question"
    done = promptgrad("-C", recorded.folder, "runs", "delete", "last", "--yes")
    assert done.returncode == 0, done.stderr
    assert journal.runs() == []
    assert {type(event) for _, event in journal.events(recorded.run)}.isdisjoint({EpochFinished})
    assert len(journal.events_of_all_runs(TestFinished)) == opened
    assert journal.completions_paid(recorded.run) == paid


def test_a_run_in_progress_is_not_deleted(recorded: RecordedRun) -> None:
    with recorded.journal.lock_run(recorded.run):
        done = promptgrad("-C", recorded.folder, "runs", "delete", "last", "--yes")
    assert done.returncode != 0
    assert len(recorded.journal.runs()) == 1


def test_a_journal_of_before_names_is_read(recorded: RecordedRun) -> None:
    recorded.journal._write("DROP TABLE labels", ())
    path = recorded.journal.path
    with Journal.open(path, read_only=True) as journal:
        (run,) = journal.runs()
    assert run.name == ""
    with Journal.open(path) as journal:
        assert journal._read("SELECT 1 FROM sqlite_master WHERE name = 'labels'")

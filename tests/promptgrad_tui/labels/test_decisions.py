"""Decisions about labels, and one that can't be taken back at the moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.ground.errors import DataError
from engine.journal.journal import Journal, journal_path
from engine.journal.learning_events import LabelsDoubted
from promptgrad_tui.work.labels.decisions import LabelDecisions
from tests.promptgrad_tui.labels.test_correcting import CASES, project
from tests.promptgrad_tui.labels.test_taking_back import doubted


def test_a_decision_that_cannot_be_taken_back_yet_stays_the_last_one(tmp_path: Path) -> None:
    _, fields, before, _ = CASES["tsv"]
    found = project(tmp_path, ".tsv", fields, before)
    with Journal.open(journal_path(tmp_path)) as journal:
        run = journal.create_run(tmp_path).id
        journal.append(run, LabelsDoubted(id="labels", examples=(doubted(found),)))
    decisions = LabelDecisions(tmp_path, run)
    decisions.read()
    decisions.make(1, decisions.correction(1, "new"))

    in_the_way = tmp_path / f".data.tsv.saving-{os.getpid()}"
    in_the_way.mkdir()
    with pytest.raises(DataError, match="can't be written"):
        decisions.take_back(1)
    assert decisions.last == 1

    in_the_way.rmdir()
    assert decisions.take_back(1) == 1
    assert decisions.last is None
    assert (tmp_path / "data.tsv").read_bytes() == before.encode()

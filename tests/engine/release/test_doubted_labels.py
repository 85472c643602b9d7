"""The labels that a run doubts, as it writes them into its journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.ground.examples import example_key
from engine.journal.journal import Journal, journal_path
from engine.journal.learning_events import DoubtedLabel, LabelsDoubted
from engine.release.run import execute
from engine.release.run_plan import RunPlan
from tests.engine.project_folders import two_drives
from tests.engine.release.test_run import events, plan


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def with_a_wrong_label(asked: RunPlan) -> RunPlan:
    """Give the first validation example about a kayak another label."""
    validation = list(asked.validation)
    place = next(number for number, one in enumerate(validation) if "kayak" in one.values["ticket"])
    values = {**validation[place].values, "queue": "legal"}
    key = example_key(values, ["ticket", "queue"])
    validation[place] = replace(validation[place], values=values, key=key)
    return replace(asked, validation=validation)


def test_a_file_on_another_drive_is_named_in_full(tmp_path: Path, journal: Journal) -> None:
    asked = with_a_wrong_label(plan(tmp_path, journal))
    with two_drives():
        execute(asked, journal)
    [doubted] = events(journal, asked.run, LabelsDoubted)
    assert {label.file for label in doubted.examples} == {str(tmp_path / "validation.jsonl")}


def test_what_a_run_doubted_when_its_budget_ended_is_taken_back_at_its_end(
    tmp_path: Path, journal: Journal
) -> None:
    asked = plan(tmp_path, journal)
    label = DoubtedLabel(
        example="1",
        inputs="1",
        split="train",
        file="train.jsonl",
        line=1,
        field="queue",
        expected="legal",
        answer="music",
        versions=2,
        alike=2,
    )
    journal.append(asked.run, LabelsDoubted(id="budget/1/labels", examples=(label,)))
    execute(asked, journal)
    assert [len(event.examples) for event in events(journal, asked.run, LabelsDoubted)] == [1, 0]

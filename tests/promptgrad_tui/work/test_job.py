"""What the journal keeps of a run that was asked for, for a resume to compare with."""

from __future__ import annotations

from pathlib import Path

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.job import create_run
from tests.engine.project_folders import two_drives
from tests.promptgrad_tui.desk_project import write_project


def test_a_file_on_another_drive_is_compared_too(tmp_path: Path) -> None:
    project = open_project(write_project(tmp_path, "gguf:any.gguf"), {})
    with Journal.open(journal_path(tmp_path)) as journal, two_drives():
        record = create_run(journal, project, {}, None, Budget())
    assert len(record.options["contents"][str(tmp_path / "data" / "train.jsonl")]) == 64

"""What the commands on doubted labels read: the run, its project, and the list as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading

if TYPE_CHECKING:
    from engine.journal.journal import RunRecord
    from engine.project.settings import Project
    from promptgrad_tui.work.labels.doubts import Doubted


def doubts_of(context: CommandContext, run: str) -> tuple[RunRecord, Project, list[Doubted]]:
    """Return a run, its project, and the labels that it doubts."""
    from promptgrad_tui.work.labels.doubts import doubted_now, doubted_of
    from promptgrad_tui.work.opening import open_project

    project = open_project(context.project, {})
    with reading(context) as journal:
        record = journal.run(run)
        labels = doubted_of(journal, record)
    return record, project, doubted_now(project, labels)

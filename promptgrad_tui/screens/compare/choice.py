"""Choosing what a run or an artifact is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from engine.journal.events import SplitScores
from engine.release.manifest import ArtifactManifest
from engine.release.matrix import read_matrix
from promptgrad_tui.screens.live.project_runs import read_runs
from promptgrad_tui.screens.widgets.dialogs import BoxScreen
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.views.artifacts.compression import fewer_tokens
from promptgrad_tui.views.figures import value_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, line

_COLUMNS = (
    Column("", width=8),
    Column("Name", share=1),
    Column("Validation", width=10, right=True, from_width=74),
    Column("Test", width=6, right=True),
)


@dataclass(frozen=True)
class Candidate:
    """Something to compare with: `name` as a comparison takes it, `created` in Unix seconds.

    `baseline` are the scores of the same without rules.
    """

    name: str
    kind: str
    title: str
    created: float
    scores: SplitScores
    baseline: SplitScores


def candidates(project: Path) -> list[Candidate]:
    """Return a project's runs and artifacts, each the newest first.

    Raises:
        JournalError: the journal can't be read.
        ArtifactError: the file of releases is damaged.
    """
    runs = [
        Candidate(
            record.id,
            "run",
            f"{record.id} ({record.status.replace('_', ' ')}{', reviewed' if record.review else ''})",
            record.created,
            record.optimized,
            record.summary.baseline if record.summary else SplitScores(),
        )
        for record in read_runs(project)
    ]
    artifacts = [
        Candidate(
            str(entry.path),
            "artifact",
            _artifact_title(entry.path, entry.manifest),
            datetime.fromisoformat(entry.manifest.created).timestamp(),
            entry.manifest.optimized,
            entry.manifest.baseline,
        )
        for entry in read_matrix(project / "artifacts").entries
        if entry.manifest is not None
    ]
    return [*reversed(runs), *reversed(artifacts)]


def _artifact_title(folder: Path, manifest: ArtifactManifest) -> str:
    name = "/".join(folder.parts[-3:])
    method, shorter = manifest.details.get("method"), fewer_tokens(manifest)
    return (f"{method}: {name}" if method else name) + (f" ({shorter})" if shorter else "")


class ChoiceScreen(BoxScreen[Candidate]):
    """Asks what to compare with; escape compares nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, choices: Sequence[Candidate]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(classes="box box-large"):
            yield Static(self._title, markup=False, classes="box-title")
            yield RowTable(_COLUMNS, _paint, empty="", follow=False)
            yield Static("enter  Compare   esc  Cancel", markup=False, classes="box-foot")

    def on_mount(self) -> None:
        """Show the choices, in a box as high as they need."""
        table = self.query_one(RowTable)
        table.show(self._choices)
        table.focus()
        self.query_one(".box").styles.height = len(self._choices) + 10

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        event.stop()
        self.dismiss(event.row)


def _paint(row: Candidate, _widths: Sequence[int]) -> Sequence[Line]:
    validation, test = row.scores.validation, row.scores.test
    return (
        line(row.kind, "accent"),
        line(one_line(row.title)),
        line(value_text(validation.score) if validation else "", "dim"),
        line(value_text(test.score) if test else ""),
    )

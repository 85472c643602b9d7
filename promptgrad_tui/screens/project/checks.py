"""What a project is like besides its settings, by `promptgrad check` in a child process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.project.draft import ProjectDraft
from promptgrad_tui.screens.project.lines import estimate_lines, split_lines
from promptgrad_tui.views.estimate import PlannedCalls
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.views.progress_lines import ProgressLine
from promptgrad_tui.views.text_blocks import fact, paragraph
from promptgrad_tui.views.toned_lines import Line
from promptgrad_tui.work.check.estimate import project_calls
from promptgrad_tui.work.check.report import CheckReport, RateMeasured

Upto = Literal["data", "rate"]

_OF_DATA = ("project", "program", "data", "labels", "test", "gates", "metric")
_CHECKED = ("program", "data", "metric")


class ProjectChecks:
    """The last check of a project, and the current one; `on_news` is called when something has changed.

    `doing` says what is in progress, `is_measuring` that this is the measurement of the model.
    """

    def __init__(self, folder: Path, on_news: Callable[[], None]) -> None:
        self._folder = folder
        self._on_news = on_news
        self._report = CheckReport()
        self._rate: RateMeasured | None = None
        self.doing = ""
        self.is_measuring = False

    async def run(self, upto: Upto) -> None:
        """Look at the data, or at everything, and measure the model."""
        self.is_measuring = upto == "rate"
        self._take(ProgressLine("Looking at the data …" if upto == "data" else "Measuring …"))
        arguments = ["check", "--json", "--json-progress", *(["--no-model"] if upto == "data" else [])]
        try:
            reply = await CommandProcess(arguments, self._folder, self._take).run()
            self._report = CheckReport.model_validate(reply)
        except PromptGradError as error:
            self._report = CheckReport(findings=(Finding.of("project", error),))
        self._rate = self._report.rate or self._rate
        self.doing, self.is_measuring = "", False
        self._on_news()

    def _take(self, step: ProgressLine) -> None:
        self.doing = f"{step.text} {step.done:.0%}" if step.done else step.text
        self._on_news()

    @property
    def of_data(self) -> Sequence[Finding]:
        """What was found about the data."""
        return [found for found in self._report.findings if found.subject in _OF_DATA]

    @property
    def of_the_rest(self) -> Sequence[Finding]:
        """What was found about all else, and whatever keeps a run from beginning."""
        elsewhere, found = (*_OF_DATA, "estimate"), self._report.findings
        return [finding for finding in found if finding.level == "fail" or finding.subject not in elsewhere]

    def rate_of(self, uri: str) -> RateMeasured | None:
        """Return what a check has measured of a model."""
        return self._rate if self._rate is not None and self._rate.uri == uri else None

    def calls(self, draft: ProjectDraft | None) -> PlannedCalls | None:
        """Return the planned calls of a draft, on splits of the sizes that were found."""
        project = draft.project if draft is not None else None
        if project is None or self._report.sizes is None:
            return None
        return project_calls(project, self._report.sizes)

    def data_lines(self, draft: ProjectDraft | None, columns: int) -> list[Line]:
        """Return the splits and their slices."""
        if not self._report.splits:
            return paragraph(self.doing or "The data could not be read.", columns, "dim")
        return [*split_lines(self._report, columns), *_unsaved_note(draft, columns)]

    def estimate_lines(self, draft: ProjectDraft | None, columns: int) -> list[Line]:
        """Return what a run takes, as far as that is known."""
        if draft is not None and draft.project is None:
            return paragraph("Something is wrong with the settings: press s to go there.", columns, "bad")
        lines = estimate_lines(self.calls(draft), self._rate, columns)
        if not lines:
            return paragraph(self.doing or "There is no estimate without data.", columns, "dim")
        task = draft.project.model.task if draft is not None and draft.project is not None else ""
        if self._rate is not None and task and self._rate.uri != task:
            lines += fact("", f"The model is now {task}: b measures again.", columns, "warn")
        return [*lines, *_unsaved_note(draft, columns)]


def _unsaved_note(draft: ProjectDraft | None, columns: int) -> list[Line]:
    if draft is None or not any(place[0] in _CHECKED for place in draft.edits):
        return []
    return paragraph("This is the data of the saved file; s saves the changes.", columns, "warn")

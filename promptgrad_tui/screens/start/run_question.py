"""What is asked before a run begins: how many calls it takes, and how long that was last time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen
from promptgrad_tui.views.figures import rough_duration_text
from promptgrad_tui.views.sanitize import one_line

if TYPE_CHECKING:
    from engine.project.settings import Project
    from promptgrad_tui.work.check.report import CheckReport

START = "start"


class RunQuestion(QuestionScreen):
    """Asks whether to start a run of the project in `folder`; the estimate comes while it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(
            f"Start a run of {one_line(folder.name)}?",
            "Estimating the number of calls \u2026",
            [Choice("S", "Start the run", START)],
        )

    def on_mount(self) -> None:
        self.run_worker(self._estimate(), group="estimate", exit_on_error=False)

    async def _estimate(self) -> None:
        try:
            # A project that can't be read is found here; what else is wrong, by the command.
            from promptgrad_tui.work.check.report import CheckReport
            from promptgrad_tui.work.opening import open_project

            project = await asyncio.to_thread(open_project, self._folder, {})
            reply = await CommandProcess(["check", "--json", "--no-model"], self._folder).run()
            self.tell(_estimate_text(project, CheckReport.model_validate(reply), self._folder))
        except PromptGradError as error:
            self.tell(f"{error.message}\n{error.hint}".rstrip())


def _estimate_text(project: Project, report: CheckReport, folder: Path) -> str:
    from promptgrad_tui.views.estimate import range_text
    from promptgrad_tui.work.check.estimate import project_calls

    wrong = [found.text for found in report.findings if found.level == "fail"]
    if wrong or report.sizes is None:
        return "\n".join(["It can't run yet:", *wrong[:3]])
    calls = project_calls(project, report.sizes)
    text = f"Model {project.model.task}: {range_text(calls.few, calls.many)} calls, {calls.most:,} at most."
    pace = _seconds_per_call(folder, project.model.task)
    if pace is None:
        return f"{text}\nNo earlier run shows how long that takes: press p, then b to measure it."
    few, many = (rough_duration_text(count * pace) for count in (calls.few, calls.many))
    time = few if few == many else f"{few} to {many.removeprefix('about ')}"
    return f"{text}\nAt the pace of its last run: {time}."


def _seconds_per_call(folder: Path, model: str) -> float | None:
    from promptgrad_tui.screens.live.project_runs import read_runs

    for run in reversed(read_runs(folder)):
        done = run.summary
        if done is not None and done.model.uri == model and done.calls and done.seconds:
            return done.seconds / done.calls
    return None

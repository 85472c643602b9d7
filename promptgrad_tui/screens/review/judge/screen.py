"""The screen on which a person grades answers, one at a time, so that the judge can be measured.

The answers come from `promptgrad judge answers` in a child process: no model is loaded here. Each grade is
written to the project at once, so leaving loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.review.judge.lines import answer_lines, status_lines
from promptgrad_tui.screens.widgets.dialogs import show_error
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.progress_lines import ProgressLine
from promptgrad_tui.views.toned_lines import Line
from promptgrad_tui.work.judge.grading import Grading, GradingTask

ANSWERS = 40
"""How many answers are graded unless a person says otherwise: fewer say little about a judge."""


class JudgeScreen(Screen[None]):
    """An answer, what it was given, and the question how good it is."""

    BINDINGS = bindings("judge")
    is_grading = True

    def __init__(self, folder: Path, n: int = ANSWERS) -> None:
        super().__init__()
        self._folder = folder
        self._n = n
        self._grading: Grading | None = None
        self._process: CommandProcess | None = None
        self._told = "Asking the program \u2026"

    def compose(self) -> ComposeResult:
        """Make the status, the answer below it, and the keys."""
        yield LinesView(lambda width, _height: self._status(width), id="status")
        yield TextView(id="graded", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(TextView).focus()
        self._show()
        self.run_worker(self._read(), group="answers", exit_on_error=False)

    def on_unmount(self, event: events.Unmount) -> None:
        """End the child process if the screen goes while it works."""
        del event
        if self._process is not None:
            self._process.cancel()

    def _status(self, columns: int) -> list[Line]:
        return status_lines(self._grading, self._told, columns)

    async def _read(self) -> None:
        arguments = ["judge", "answers", "-n", str(self._n), "--json", "--json-progress"]
        self._process = CommandProcess(arguments, self._folder, self._progressed)
        try:
            reply = await self._process.run()
            if reply is None:
                return
            self._grading = Grading(self._folder, GradingTask.from_json(reply))
        except PromptGradError as error:
            self._told = f"! {error.message}"
            # There is nothing to grade here; a person may have opened another screen over this one.
            if self.is_current:
                self.dismiss()
            else:
                self._show()
            show_error(self.app, error)
            return
        finally:
            self._process = None
        self._show()

    def _progressed(self, progress: ProgressLine) -> None:
        self._told = f"{progress.text} \u2026"
        self.query_one("#status", LinesView).repaint()

    def _show(self) -> None:
        grading = self._grading
        self.query_one("#status", LinesView).repaint()
        self.query_one(TextView).show(lambda width: answer_lines(grading, width))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the grades that the scale doesn't have, and all keys while there is no answer to grade."""
        grading = self._grading
        if action == "undo":
            return grading is not None and grading.can_undo
        if action not in ("grade", "skip"):
            return True
        if grading is None or grading.current is None:
            return False
        return action == "skip" or str(parameters[0]) in grading.task.keys

    def action_grade(self, key: str | int) -> None:
        if self._grading is not None and str(key) in self._grading.task.keys:
            self._change(lambda grading: grading.grade(str(key)))

    def action_skip(self) -> None:
        self._change(Grading.skip)

    def action_undo(self) -> None:
        self._change(Grading.undo)

    def _change(self, change: Callable[[Grading], None]) -> None:
        if self._grading is None:
            return
        try:
            change(self._grading)
        except OSError as error:
            problem = f"The grade can't be written: {error.strerror}."
            show_error(self.app, PromptGradError(problem, hint="Make the folder writable."))
        self._show()

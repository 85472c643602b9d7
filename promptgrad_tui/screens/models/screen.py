"""The Models screen: what is here, its hash, its speed; more is pulled, memory is freed.

All work is done by `promptgrad models ...` in child processes. The screen stays while another is shown, so
that a download continues; leaving the app ends it, and the next one resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.models.details import ModelDetails
from promptgrad_tui.screens.models.lines import COLUMNS, fact_lines, inventory_line, job_lines, paint
from promptgrad_tui.screens.models.state import Inventory, Job, ModelRow, Work
from promptgrad_tui.screens.models.work import Outcome, Task, WorkQueue
from promptgrad_tui.screens.widgets.dialogs import (
    Choice,
    InputScreen,
    QuestionScreen,
    error_panel,
    show_error,
)
from promptgrad_tui.screens.widgets.front_screen import FrontScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.model_text import speed_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.toned_lines import Line, Tone, joined, line

NAME = "models"
"""What the app knows the screen by."""

_FACTS_FROM_COLUMNS = 130
_WORKING = ("hash", "measure", "free", "pull")
_WORK: Mapping[Work, str] = {"hash": "Hashing", "measure": "Measuring", "free": "Freeing"}


class ModelsScreen(FrontScreen):
    """The models of this machine."""

    BINDINGS = bindings("models")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._inventory = Inventory()
        self._is_reading = False
        self._queue = WorkQueue(self._progressed, self._ended)
        self._told: tuple[str, Tone] = ("", "")
        self._shown_uri = ""

    def look_from(self, folder: Path) -> None:
        """List also the models of the project in `folder`."""
        self._folder = folder

    @property
    def work_lost_by_leaving(self) -> str:
        """What is in progress and ends with the app, as a sentence; empty if nothing is."""
        job, waiting = self._queue.job, self._queue.waiting
        if job is None:
            return ""
        name = one_line(job.name)
        lost = f"{_WORK.get(job.work, '')} {name} ends before it is done."
        if job.work == "pull":
            lost = f"The download of {name} ends; the next one continues where it stopped."
        return f"{lost}\nNot started: {', '.join(map(str, waiting))}." if waiting else lost

    def compose(self) -> ComposeResult:
        """Make the status, the table and the facts beside it."""
        yield LinesView(lambda width, _height: self._status(width), id="status")
        with Horizontal(id="models"):
            table: RowTable[ModelRow] = RowTable(
                COLUMNS,
                paint,
                empty="Looking for models \u2026",
                follow=False,
                same=lambda row: row.model.uri,
                classes="pane",
            )
            table.border_title = "Models"
            yield table
            yield TextView(id="facts", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(RowTable).focus()
        self.set_interval(1.0, self._repaint)

    def returned(self) -> None:
        """Look for models again: anything may have changed."""
        self.action_reload()

    def fit(self, size: Size) -> None:
        self.set_class(size.width < _FACTS_FROM_COLUMNS, "narrow")
        self.set_class(size.height < 14, "tiny")

    def _status(self, columns: int) -> list[Line]:
        waiting = ", ".join(map(str, self._queue.waiting))
        parts = [line("Models", "strong"), line(f"then: {waiting}" if waiting else "", "accent")]
        head = joined([*parts, inventory_line(self._inventory)], "   ")
        if self._queue.job is not None:
            return [head, *job_lines(self._queue.job)]
        text, tone = self._told
        if not text and (row := self._current) is not None and row.model.problem:
            text, tone = f"! {row.model.problem}", "warn"
        elif not text and self._is_reading:
            text, tone = "Looking for models \u2026", "dim"
        return [head, *(line(part, tone) for part in wrap(text, columns))]

    def _repaint(self) -> None:
        self.query_one("#status", LinesView).repaint()

    def action_reload(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._repaint()
            self.run_worker(self._read(), group="list", exit_on_error=False)

    async def _read(self) -> None:
        try:
            reply = await CommandProcess(["models", "--json"], self._folder).run()
            self._inventory = Inventory.from_json(reply)
        except PromptGradError as error:
            self._told = (f"! {error.message} {error.hint}", "bad")
        finally:
            self._is_reading = False
        self._show()

    def _show(self) -> None:
        self.query_one(RowTable).show(self._inventory.rows)
        self._show_facts()

    def on_row_table_moved(self) -> None:
        """Show the facts of the model under the cursor instead of the last message about another."""
        row = self._current
        if row is not None and row.model.uri != self._shown_uri:
            self._told = ("", "")
        self._show_facts()

    def _show_facts(self) -> None:
        row, inventory = self._current, self._inventory
        self._shown_uri = row.model.uri if row is not None else ""
        self.query_one("#facts", TextView).show(
            lambda width: fact_lines(row, inventory, width) if row is not None else []
        )
        self._repaint()
        self.refresh_bindings()

    @property
    def _current(self) -> ModelRow | None:
        row: ModelRow | None = self.query_one(RowTable).current
        return row

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        self.app.push_screen(ModelDetails(event.row, self._inventory, self._folder))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply to the model under the cursor."""
        if action == "cancel":
            return self._queue.job is not None
        if action not in _WORKING or not self.is_mounted:
            return True
        row = self._current
        if row is None or action == "pull":
            return action == "pull"
        applies = {"hash": row.is_file, "measure": True, "free": row.can_be_freed}
        return applies[action] and (not row.model.problem or action == "free")

    def action_hash(self) -> None:
        if (row := self._current) is not None:
            uri = row.model.uri
            self._begin("hash", row, ["hash", uri], lambda reply: f"{uri} is {reply['revision']}")

    def action_measure(self) -> None:
        if (row := self._current) is not None:
            uri = row.model.uri
            self._begin("measure", row, ["measure", uri], lambda reply: _measured(uri, reply))

    def action_free(self) -> None:
        """Take the model out of memory; ask first where that stops a run."""
        row = self._current
        if row is None:
            return
        arguments = ["free", row.model.uri]
        if not row.held_by:
            self._begin("free", row, arguments, lambda reply: f"{reply['uri']}: {reply['outcome']}")
            return

        def answered(value: str | None) -> None:
            if value:
                self._begin(
                    "free",
                    row,
                    [*arguments, "--stop-runs"],
                    lambda reply: f"{reply['uri']}: {reply['outcome']}",
                )

        runs = "\n".join(one_line(f"run {run} in {project}") for run, project in row.held_by)
        text = f"It is held by\n{runs}\nA stopped run can be resumed; nothing is paid for twice."
        choices = [Choice("s", "Stop it, and free the memory", "stop")]
        self.app.push_screen(QuestionScreen(f"Free {one_line(row.model.name)}?", text, choices), answered)

    def action_pull(self) -> None:
        """Ask what to download, then whether that host may be asked."""
        title = "Download which model?  hf:OWNER/REPO/FILE.gguf or ollama:NAME"
        self.app.push_screen(InputScreen(title, placeholder="ollama:qwen3:4b"), self._ask_to_reach_out)

    def _ask_to_reach_out(self, source: str | None) -> None:
        if not source:
            return
        # Imported late: it brings an HTTP library, and nobody may ever pull.
        from models.catalog.pull import reaches

        try:
            host = reaches(source)
        except PromptGradError as error:
            show_error(self.app, error)
            return

        def answered(value: str | None) -> None:
            if value:
                self._begin(
                    "pull", None, ["pull", source], lambda reply: f"Pulled: {reply['uri']}", name=source
                )

        text = f"This is the only action that connects to the internet.\nIt asks {one_line(host)}"
        text += (
            f"\nfor {one_line(source)}\nThe download is verified; if it is interrupted, it continues later."
        )
        self.app.push_screen(
            QuestionScreen("Reach out?", text, [Choice("y", "Yes, download it", "yes")]), answered
        )

    def action_cancel(self) -> None:
        self._queue.cancel()

    def _begin(
        self,
        work: Work,
        row: ModelRow | None,
        arguments: list[str],
        tell: Callable[[Any], str],
        *,
        name: str = "",
    ) -> None:
        job = Job(work, name or (row.model.name if row else ""), row.model.size if row else 0)
        if self._queue.has(job):
            self.notify(f"{job} is already in progress or queued.", severity="warning", markup=False)
            return
        self._queue.add(Task(job, self._folder, arguments, tell))
        if self._queue.job is None:
            self._told = ("", "")
            self.run_worker(self._queue.run(), group="work", exit_on_error=False)
        else:
            self.notify(f"{job} starts after {self._queue.job}.", markup=False)
            self._repaint()

    def _progressed(self) -> None:
        self.refresh_bindings()
        self._repaint()

    def _ended(self, outcome: Outcome) -> None:
        tone: Tone = "bad" if outcome.error else "good" if outcome.is_done else "warn"
        self._told = (outcome.text, tone)
        if outcome.error is not None:
            self.interrupt(error_panel(outcome.error), outcome.text)
        elif self._queue.waiting:
            self.notify(outcome.text, markup=False)
        self.refresh_bindings()
        self.action_reload()


def _measured(uri: str, reply: dict[str, Any]) -> str:
    from models.speed.throughput import Throughput

    return f"{uri}: {speed_text(Throughput.from_dict(reply))}"

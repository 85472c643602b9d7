"""The run screen: status and chart above, four panes below; one pane at a time where there is little room."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from engine.errors import PromptGradError
from promptgrad_tui.app.actions import bindings
from promptgrad_tui.app.batch_screen import BatchScreen
from promptgrad_tui.app.cells import CURSOR, Line, Tone
from promptgrad_tui.app.chart import ChartData, score_chart
from promptgrad_tui.app.details import DetailScreen
from promptgrad_tui.app.dialogs import Choice, QuestionScreen
from promptgrad_tui.app.feed import News, RunFeed
from promptgrad_tui.app.key_bar import KeyBar
from promptgrad_tui.app.log_screen import LogScreen
from promptgrad_tui.app.matrix_lines import matrix_row_lines
from promptgrad_tui.app.panes import artifacts, batches, gradients, validations
from promptgrad_tui.app.review_screen import ReviewScreen
from promptgrad_tui.app.score_lines import score_lines
from promptgrad_tui.app.session import RunSession
from promptgrad_tui.app.status import status_lines
from promptgrad_tui.app.stories import gradient_lines, prompt_lines, rule_test_lines
from promptgrad_tui.app.table import RowTable
from promptgrad_tui.app.toned import LinesView
from promptgrad_tui.app.worker_process import last_words
from promptgrad_tui.sanitize import one_line

_PANES = ("batches", "gradients", "validation", "artifacts", "chart")
_TABS = ("Batches", "Gradients", "Validation", "Artifacts", "Scores")
_NAMED_TABS_FROM = 60
_FOUR_PANES_FROM = (110, 26)
_CHART_FROM_ROWS = 36
_SECONDS_BETWEEN_DRAWINGS = 0.25
"""While a long run is read in: reading it is what a person waits for."""


class RunScreen(Screen[None]):
    """One run, followed live from its journal."""

    BINDINGS = bindings("run")

    class Arrived(Message):
        """The feed has brought something."""

        def __init__(self, news: News) -> None:
            super().__init__()
            self.news = news

    class MatrixRead(Message):
        """The project's artifacts and transfers were read."""

        def __init__(self, rows: Sequence[artifacts.MatrixRow]) -> None:
            super().__init__()
            self.rows = rows

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self.session = session
        self._feed = RunFeed(session.journal, session.run, lambda news: self.post_message(self.Arrived(news)))
        self._front = "batches"
        self._zoomed = False
        self._has_told_end = False
        self._possible: tuple[bool, bool] | None = None
        self._charted = (0, 0)
        self._drawn_at = 0.0
        self._is_drawn = True
        self._matrix_of: object = None

    def compose(self) -> ComposeResult:
        """Make the panes."""
        yield LinesView(lambda width, _height: status_lines(self.session.status(), width), id="status")
        yield LinesView(lambda width, _height: [self._tabs(width)], id="tabs")
        yield LinesView(self._chart, id="chart", classes="pane")
        with Container(id="panes"):
            with Horizontal():
                yield self._table("batches", batches)
                yield self._table("gradients", gradients)
            with Horizontal():
                yield self._table("validation", validations)
                yield self._table("artifacts", artifacts)
        yield KeyBar()

    def _table(self, name: str, pane: Any) -> RowTable[Any]:
        table: RowTable[Any] = RowTable(pane.COLUMNS, pane.paint, empty=pane.EMPTY, id=name, classes="pane")
        table.border_title = f"{_PANES.index(name) + 1} {name.capitalize()}"
        return table

    def on_mount(self) -> None:
        """Begin to follow the run."""
        self.query_one("#chart").border_title = "5 Validation score by epoch, with its 95 % interval"
        self._pane(self._front).focus()
        self._feed.start()
        self.set_interval(1.0, self.query_one("#status", LinesView).repaint)

    def on_unmount(self) -> None:
        """Stop following."""
        self._feed.close()

    def on_run_screen_arrived(self, message: Arrived) -> None:
        """Take in what the feed has brought, and draw it."""
        news, session = message.news, self.session
        session.problem = news.problem.message if news.problem else ""
        session.live.apply_all(news.events)
        has_news = bool(news.events) or news.passes != session.live.passes
        session.live.passes, session.live.waits_for = news.passes, news.waits_for
        before, session.is_running = session.is_running, news.is_running
        if news.is_all or time.monotonic() - self._drawn_at > _SECONDS_BETWEEN_DRAWINGS:
            self._draw(has_events=has_news or not self._is_drawn)
        self._is_drawn = news.is_all
        self._feed.taken()
        if (before and not session.is_running) or session.has_failed_to_start:
            self._tell_end()

    def _draw(self, *, has_events: bool) -> None:
        self._drawn_at = time.monotonic()
        live = self.session.live
        self.query_one("#status", LinesView).repaint()
        possible = (self.session.is_running, self.session.can_resume)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()
        if not has_events:
            return
        self._pane("batches").show(list(live.batches.values()))
        self._pane("gradients").show(live.gradient_rows())
        self._pane("validation").show(list(live.tests.values()))
        charted = (len(live.story.epochs), live.rule_changes)
        if charted != self._charted:
            self._charted = charted
            self.query_one("#chart", LinesView).repaint()
        self._keep_matrix_up()

    def on_screen_resume(self) -> None:
        """Read the matrix again: what changed in the project meanwhile makes artifacts stale."""
        if self._matrix_of is not None:
            self._read_matrix()

    def _keep_matrix_up(self) -> None:
        live = self.session.live
        state = (live.story.artifact, live.reviews_applied)
        if state != self._matrix_of:
            self._matrix_of = state
            self._read_matrix()

    @work(thread=True, group="matrix", exclusive=True, exit_on_error=False)
    def _read_matrix(self) -> None:
        # In a thread: it reads all data of the project, to tell what has changed.
        try:
            rows = artifacts.read_rows(self.session.project)
        except PromptGradError as error:
            self.notify(one_line(f"{error.message} {error.hint}"), severity="warning", markup=False)
        else:
            self.post_message(self.MatrixRead(rows))

    def on_run_screen_matrix_read(self, message: MatrixRead) -> None:
        """Show the matrix, with the cursor on what this run has saved once that is there."""
        table = self._pane("artifacts")
        own = [
            number
            for number, row in enumerate(message.rows)
            if row.entry and row.entry.manifest and row.entry.manifest.run == self.session.run
        ]
        is_new = len(message.rows) != len(table.rows)
        table.show(message.rows, cursor=own[-1] if own and is_new else table.cursor)

    def _tell_end(self) -> None:
        """Tell a person who watches why the run ended, if it ended badly."""
        finished = self.session.live.finished
        if self._has_told_end or (finished is not None and finished.summary.status != "error"):
            return
        self._has_told_end = True
        if finished is not None:
            title, text = "The run ended by an error", finished.summary.reason
        else:
            words = last_words(self.session.project, self.session.run)
            title = "The worker is gone"
            text = f"Its last words:\n{words}" if words else "Its process ended without a word."
        text += "\n\nWhat was done is in the journal; to resume pays for nothing twice."
        self._ask(title, text, [Choice("R", "Resume the run", "resume")])

    def _chart(self, width: int, height: int) -> list[Line]:
        story = self.session.live.story
        config = story.started.config if story.started else {}
        changes, before = [], 0
        for change in (change for batch in story.batches.values() for change in batch.changes):
            changes.append((change, len(change.rules) - before))
            before = len(change.rules)
        epochs, per_epoch = config.get("epochs", 1), config.get("batches_per_epoch", 1)
        return score_chart(ChartData(story.epochs, changes, epochs, per_epoch), width, height)

    def _tabs(self, width: int) -> Line:
        runs: list[tuple[str, Tone]] = []
        for number, name in enumerate(_TABS, 1):
            is_front = _PANES[number - 1] == self._front
            runs.append((f"{CURSOR if is_front else ' '}{number} ", "accent" if is_front else "dim"))
            if is_front or width >= _NAMED_TABS_FROM:
                runs.append((f"{name} ", "strong" if is_front else "dim"))
        return tuple(runs)

    def _pane(self, name: str) -> RowTable[Any]:
        return self.query_one(f"#{name}", RowTable)

    def on_resize(self, event: events.Resize) -> None:
        """Arrange the panes for the size of the terminal."""
        self._arrange(event.size.width, event.size.height)

    def _arrange(self, width: int, height: int) -> None:
        is_small = width < _FOUR_PANES_FROM[0] or height < _FOUR_PANES_FROM[1]
        is_alone = is_small or self._zoomed
        self.set_class(is_alone, "alone")
        self.set_class(is_alone and self._front == "chart", "only-chart")
        self.set_class(height < 14, "tiny")
        self.set_class(not is_alone and height >= _CHART_FROM_ROWS, "with-chart")
        for name in _PANES:
            pane = self.query_one(f"#{name}")
            pane.set_class(name == self._front, "front")
            if isinstance(pane.parent, Horizontal) and name == self._front:
                for row in self.query(Horizontal):
                    row.set_class(row is pane.parent, "front")
        self.query_one("#tabs", LinesView).repaint()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Bring the focused pane to the front."""
        if event.widget.id in _PANES and event.widget.id != self._front:
            self._front = event.widget.id
            self._arrange(*self.size)

    def action_pane(self, number: int) -> None:
        """Focus a pane by its number."""
        name = _PANES[number - 1]
        self._front = name
        if name == "chart":
            self._zoomed = True
            self.set_focus(None)
        self._arrange(*self.size)
        if name != "chart":
            self._focus(self._pane(name))

    def _focus(self, pane: RowTable[Any]) -> None:
        # At once, so that the next key meets this pane; later, if it has to be laid out first.
        self.set_focus(pane)
        if not pane.has_focus:
            pane.focus()

    def action_next_pane(self) -> None:
        """Go to the next pane."""
        self.action_pane((_PANES.index(self._front) + 1) % self._reachable() + 1)

    def action_previous_pane(self) -> None:
        """Go to the pane before."""
        self.action_pane((_PANES.index(self._front) - 1) % self._reachable() + 1)

    def _reachable(self) -> int:
        return len(_PANES) if self.has_class("alone") else len(_PANES) - 1

    def action_zoom(self) -> None:
        """Show the focused pane alone, or all of them."""
        self._zoomed = not self._zoomed
        if self._front == "chart" and not self._zoomed:
            self.action_pane(1)
        self._arrange(*self.size)

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        """Open the row of a pane."""
        row, session = event.row, self.session
        match event.table.id:
            case "batches":
                self.app.push_screen(BatchScreen(session, row))
            case "gradients":
                title = f"Batch {row.epoch}.{row.batch}, {gradients.name(row)}"
                self._show_growing(title, lambda width: gradient_lines(session, row, width))
            case "validation":
                title = f"Test of a rule from batch {row.epoch}.{row.batch}"
                self._show_growing(title, lambda width: rule_test_lines(session, row, width))
            case _:
                self.app.push_screen(DetailScreen(row.title, lambda width: matrix_row_lines(row, width)))

    def _show_growing(self, title: str, make: Callable[[int], list[Line]]) -> None:
        self.app.push_screen(DetailScreen(title, make, grows=self.session.is_running))

    def action_review(self) -> None:
        """Judge the rules one by one."""
        self.app.push_screen(ReviewScreen(self.session))

    def action_try(self) -> None:
        """Try inputs with the best rules, or with those of the artifact under the cursor."""
        from promptgrad_tui.app.try_screen import TryScreen
        from promptgrad_tui.app.try_source import source_of_artifact, source_of_session

        artifact = self._chosen_artifact
        if artifact is not None:
            source = source_of_artifact(self.session.project, artifact)
        else:
            source = source_of_session(self.session)
        self.app.push_screen(TryScreen(source))

    def action_compare(self) -> None:
        """Compare the run, or the artifact under the cursor, with another."""
        from promptgrad_tui.app.compare_choice import compare_with_another

        artifact = self._chosen_artifact
        compare_with_another(self.app, self.session.project, str(artifact or self.session.run))

    @property
    def _chosen_artifact(self) -> Path | None:
        row = self._pane("artifacts").current if self._front == "artifacts" else None
        return row.artifact if row is not None else None

    def action_log(self) -> None:
        """Show what happened, line by line."""
        self.app.push_screen(LogScreen(self.session))

    def action_prompt(self) -> None:
        """Show the instructions with the best rules."""
        title = "The instructions with the best rules so far"
        self.app.push_screen(DetailScreen(title, lambda width: prompt_lines(self.session, width)))

    def action_scores(self) -> None:
        """Show the scores of the result and of each epoch, slice by slice."""
        self._show_growing("Scores and slices", lambda width: score_lines(self.session, width))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply now."""
        if action in ("pause", "stop"):
            return self.session.is_running
        if action == "resume":
            return self.session.can_resume
        return True

    def action_pause(self) -> None:
        """Pause the run, or let it go on."""
        self._command("continue" if self.session.live.progress.is_paused else "pause")

    def action_stop(self) -> None:
        """Ask, then stop the run."""
        self._ask(
            "Stop the run?",
            "It can be resumed later; nothing is paid for twice.",
            [Choice("x", "Stop the run", "stop")],
        )

    def action_resume(self) -> None:
        """Start the run's worker again."""
        try:
            self.session.resume()
        except PromptGradError as error:
            self.app.show_error(error)  # type: ignore[attr-defined]
            return
        self._has_told_end = False
        self.notify("The run goes on; what was paid for is replayed first.")

    def _ask(self, title: str, text: str, choices: list[Choice]) -> None:
        def answered(value: str | None) -> None:
            if value == "stop":
                self._command("stop")
            elif value == "resume":
                self.action_resume()

        self.app.push_screen(QuestionScreen(title, text, choices), answered)

    @work(thread=True, group="journal", exit_on_error=False)
    def _command(self, name: str) -> None:
        # In a thread: where another program holds the journal, this waits for it.
        try:
            self.session.send_command(name)
        except PromptGradError as error:
            self.app.call_from_thread(self.app.show_error, error)  # type: ignore[attr-defined]

    @property
    def searchable(self) -> Widget | None:
        """The pane in which a search looks."""
        return self.query_one(f"#{self._front}") if self._front != "chart" else None

"""The run screen: the state of the run, its panes, and its actions."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from textual.app import ComposeResult
from textual.geometry import Size
from textual.message import Message
from textual.worker import Worker

from engine.ground.errors import PromptGradError
from engine.journal.contest_events import LaneFinished
from engine.journal.events import RunFinished
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.feed import News, RunFeed
from promptgrad_tui.screens.live.session import Failed, RunSession
from promptgrad_tui.screens.live.worker_process import last_words
from promptgrad_tui.screens.run.batch_screen import BatchScreen
from promptgrad_tui.screens.run.board import RunPanes
from promptgrad_tui.screens.run.log_screen import LogScreen
from promptgrad_tui.screens.run.matrix_lines import matrix_row_lines
from promptgrad_tui.screens.run.panes import artifacts, gradients, lanes
from promptgrad_tui.screens.run.related import Row, links_of, review_of
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.attention import call_for_attention
from promptgrad_tui.screens.widgets.details import Detail, DetailScreen, show_row
from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen
from promptgrad_tui.screens.widgets.front_screen import FrontScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.links import Link, ask_where
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.run.details import gradient_lines, prompt_lines, rule_test_lines
from promptgrad_tui.views.run.rows import BatchStory, GradientRow, TestRow
from promptgrad_tui.views.run.score_lines import score_lines
from promptgrad_tui.views.run.status import short_status_lines, status_lines
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line

_STATUS_ROWS = 3
_THREE_STATUS_FROM_ROWS = 30
_SECONDS_BETWEEN_DRAWINGS = 0.25
"""While a long run is read in: reading it is what a person waits for."""


class RunScreen(FrontScreen):
    """One run, followed live from its journal."""

    BINDINGS = bindings("run")

    class Arrived(Message):
        """The feed has brought something."""

        def __init__(self, news: News) -> None:
            super().__init__()
            self.news = news

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self.session = session
        self._feed = RunFeed(session.journal, session.run, lambda news: self.post_message(self.Arrived(news)))
        self._failed: Failed = ""
        self._told_of: object = ""
        self._resuming: Worker[None] | None = None
        self._possible: tuple[bool, bool] | None = None
        self._drawn_at = 0.0
        self._is_drawn = True
        self._matrix_of: object = None
        self._called_for = ""

    def compose(self) -> ComposeResult:
        yield LinesView(self._status, id="status")
        yield RunPanes(self.session)
        yield KeyBar()

    def _status(self, columns: int, rows: int) -> list[Line]:
        status = self.session.status()
        return short_status_lines(status, columns) if rows < _STATUS_ROWS else status_lines(status, columns)

    @property
    def _panes(self) -> RunPanes:
        return self.query_one(RunPanes)

    def on_mount(self) -> None:
        self._feed.start()
        self.set_interval(1.0, self._tick)

    def _tick(self) -> None:
        """Let the clock go on while nothing comes in."""
        self.query_one("#status", LinesView).repaint()
        self._panes.repaint_now()

    def on_unmount(self) -> None:
        self._feed.close()

    def on_run_screen_arrived(self, message: Arrived) -> None:
        """Take in what the feed has brought, and draw it."""
        news, session = message.news, self.session
        session.problem = news.problem.message if news.problem else ""
        session.take(news.events)
        has_news = bool(news.events) or news.passes != session.live.passes
        session.live.passes, session.live.waits_for = news.passes, news.waits_for
        session.live.scored = news.scored
        before, session.is_running = session.is_running, news.is_running
        self._call_for_attention(news)
        session.is_read = session.is_read or (news.is_all and news.problem is None)
        if news.is_all or time.monotonic() - self._drawn_at > _SECONDS_BETWEEN_DRAWINGS:
            self._draw(has_events=has_news or not self._is_drawn)
        self._is_drawn = news.is_all
        self._feed.taken()
        failed_before, self._failed = self._failed, session.failed if session.is_read else ""
        if self._failed:
            # What the worker wrote last may come with the next delivery only.
            if self._failed == failed_before and self._told_of is not session.worker:
                self._tell_failure(self._failed)
        elif before and not session.is_running:
            self._tell_end()

    def _call_for_attention(self, news: News) -> None:
        """Ring once when a run that was watched has ended, or waits for a person."""
        session = self.session
        summary = session.live.summary
        has_ended = session.is_read and any(isinstance(event, RunFinished) for _, event in news.events)
        state = ""
        if has_ended and summary is not None:
            state = f"{summary.status.replace('_', ' ')}: {summary.reason}"
        elif session.is_running and session.live.progress.is_awaiting_review:
            state = "The run waits for your review."
        if state and state != self._called_for:
            call_for_attention(self.app, f"PromptGrad: {state}")
        self._called_for = state or (self._called_for if not session.is_running else "")

    def _draw(self, *, has_events: bool) -> None:
        self._drawn_at = time.monotonic()
        self.query_one("#status", LinesView).repaint()
        possible = (self.session.is_running, self.session.can_resume)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()
        if not has_events:
            return
        self._panes.show()
        self._keep_matrix_up()

    def returned(self) -> None:
        """Read the matrix again: changes in the project make artifacts stale."""
        if self._matrix_of is not None:
            self._read_matrix()

    def _keep_matrix_up(self) -> None:
        live = self.session.live
        state = (live.artifact, live.reviews_applied)
        if state != self._matrix_of:
            self._matrix_of = state
            self._read_matrix()

    def _read_matrix(self) -> None:
        """Read the artifacts, in a thread: all data of the project is read, to tell what has changed."""

        def failed(error: PromptGradError) -> None:
            self.notify(one_line(f"{error.message} {error.hint}"), severity="warning", markup=False)

        in_thread(
            self,
            partial(artifacts.read_rows, self.session.project),
            lambda rows: self._panes.show_matrix(rows),
            failed,
        )

    def _tell_end(self) -> None:
        """Tell a person who watches why the run ended, if it ended badly."""
        finished = self.session.live.finished
        if finished is None:
            self._tell_failure("start")
        elif finished.summary.status == "error":
            self._tell_and_ask("The run ended by an error", finished.summary.reason)

    def _tell_failure(self, failed: Failed) -> None:
        """Tell a person what the run's process was to do, and how it ended instead."""
        self._told_of = self.session.worker
        words = last_words(self.session.project, self.session.run)
        text = f"Its last output:\n{words}" if words else "Its process ended without a message."
        if failed == "review":
            text += "\n\nYour decisions are in the journal: press v, then A to try again."
            self._tell("The review could not be applied", text, [])
        elif failed == "edit":
            text += "\n\nThe edit is kept: press v, then B to try again."
            self._tell("The edit could not be tested", text, [])
        else:
            self._tell_and_ask("The worker has died", text)

    def _tell_and_ask(self, title: str, text: str) -> None:
        text += "\n\nWhat was done is in the journal; resuming pays for nothing twice."
        self._tell(title, text, [Choice("R", "Resume the run", "resume")])

    def _tell(self, title: str, text: str, choices: list[Choice]) -> None:
        self.interrupt(QuestionScreen(title, text, choices), title, self._answered)

    def fit(self, size: Size) -> None:
        self.set_class(size.height < 14, "tiny")
        self.set_class(size.height < _THREE_STATUS_FROM_ROWS, "low")
        self._panes.lay_out()
        self.refresh_bindings()

    def action_pane(self, number: int) -> None:
        self._panes.go_to(number)

    def action_next_pane(self) -> None:
        self._panes.step(1)

    def action_previous_pane(self) -> None:
        self._panes.step(-1)

    def action_zoom(self) -> None:
        self._panes.zoom()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        row, session = event.row, self.session
        match event.table.id:
            case "batches" if isinstance(row, LaneFinished):
                show_row(self.app, event.table, _lane, grows=False)
            case "batches":
                self.app.push_screen(BatchScreen(session, row, self._links))
            case "gradients":
                is_written = row.live is not None
                show_row(
                    self.app,
                    event.table,
                    self._gradient,
                    grows=session.is_running,
                    follows=is_written,
                    related=self._links,
                )
            case "validation":
                show_row(self.app, event.table, self._test, grows=session.is_running, related=self._links)
            case _:
                show_row(self.app, event.table, _artifact, grows=False)

    def _links(self, row: Row) -> list[Link]:
        return links_of(self.session, row)

    def action_related(self) -> None:
        """Go from the row under the cursor to what belongs to it."""
        row = self._panes.current
        if isinstance(row, BatchStory | GradientRow | TestRow):
            ask_where(self.app, self._links(row))

    def _gradient(self, row: GradientRow) -> Detail:
        title = f"Batch {row.epoch}.{row.batch}, {gradients.name(row)}"
        return title, lambda width: gradient_lines(self.session, row, width)

    def _test(self, row: TestRow) -> Detail:
        title = f"Test of a rule from batch {row.epoch}.{row.batch}"
        return title, lambda width: rule_test_lines(self.session, row, width)

    def _show_growing(self, title: str, make: Callable[[int], list[Line]]) -> None:
        self.app.push_screen(DetailScreen(title, make, grows=self.session.is_running))

    def action_review(self) -> None:
        self.app.push_screen(review_of(self.session))

    def action_try(self) -> None:
        """Try inputs with the rules as they stand, or with those of the artifact under the cursor."""
        from promptgrad_tui.screens.trying.screen import TryScreen
        from promptgrad_tui.screens.trying.source import source_of_artifact, source_of_session

        artifact = self._panes.chosen_artifact
        if artifact is not None:
            source = source_of_artifact(self.session.project, artifact)
        else:
            source = source_of_session(self.session)
        self.app.push_screen(TryScreen(source))

    async def action_compare(self) -> None:
        """Compare the run, or the artifact under the cursor, with another."""
        from promptgrad_tui.screens.compare.screen import compare_with_another

        artifact = self._panes.chosen_artifact
        await compare_with_another(self.app, self.session.project, str(artifact or self.session.run))

    def action_labels(self) -> None:
        """Show the labels that the run doubts."""
        from promptgrad_tui.screens.run.labels_screen import LabelsScreen

        self.app.push_screen(LabelsScreen(self.session.project, self.session.run))

    def action_log(self) -> None:
        self.app.push_screen(LogScreen(self.session))

    def action_prompt(self) -> None:
        self._show_growing("Instructions with the rules", lambda width: prompt_lines(self.session, width))

    def action_scores(self) -> None:
        """Show the scores of the result and of each epoch, slice by slice."""
        self._show_growing("Scores and slices", lambda width: score_lines(self.session.live, width))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ("pause", "stop"):
            return self.session.is_running
        if action == "resume":
            return self.session.can_resume
        if action == "labels":
            return not self.session.is_running
        if action == "review":
            return not self.session.is_contest
        return not (action == "zoom" and self.is_mounted and self._panes.is_small)

    def action_pause(self) -> None:
        is_pausing = self.session.live.progress.is_paused or self.session.is_pausing
        self._command("continue" if is_pausing else "pause")

    def action_stop(self) -> None:
        self._ask(
            "Stop the run?",
            "It can be resumed later; nothing is paid for twice.",
            [Choice("x", "Stop the run", "stop")],
        )

    def action_resume(self) -> None:
        progress = self.session.live.progress
        left = max(progress.expected - progress.done, 0)
        text = f"It had done {count_text(progress.done, 'call')}; about {left:,} are left. " if left else ""
        text += "What was paid for is replayed first."
        self._ask("Resume the run?", text, [Choice("R", "Resume the run", "resume")])

    def _begin_again(self) -> None:
        if self._resuming is None or self._resuming.is_finished:
            text = "The run continues; what was paid for is replayed first."
            self._resuming = in_thread(self, self.session.resume, lambda _: self.notify(text))

    def _ask(self, title: str, text: str, choices: list[Choice]) -> None:
        self.app.push_screen(QuestionScreen(title, text, choices), self._answered)

    def _answered(self, value: str | None) -> None:
        if value == "stop":
            self._command("stop")
        elif value == "resume":
            self._begin_again()

    def _command(self, name: str) -> None:
        in_thread(self, partial(self.session.send_command, name))


def _lane(row: LaneFinished) -> Detail:
    return lanes.title(row), lambda width: lanes.lane_lines(row, width)


def _artifact(row: artifacts.MatrixRow) -> Detail:
    return row.title, lambda width: matrix_row_lines(row, width)

"""The log of a run: its main events in order, each on a line that opens to all that the event says."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.screen import Screen

from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.live.worker_process import last_words
from promptgrad_tui.screens.widgets.details import Detail, DetailScreen, show_row
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.run.details import clock_text, event_lines
from promptgrad_tui.views.run.rows import LogRow
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import verbatim
from promptgrad_tui.views.toned_lines import Line, Tone, line

_COLUMNS = (
    Column("Time", width=8),
    Column("Event", width=12, from_width=60),
    Column("What happened", share=1),
)
_REFRESH_SECONDS = 0.5


class LogScreen(Screen[None]):
    """What happened in a run."""

    BINDINGS = bindings("log")

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        title = line(f" Log of run {self._session.run}", "strong")
        yield LinesView(lambda *_: [title], classes="title")
        yield RowTable(_COLUMNS, _paint, empty="Nothing has happened yet.", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        table = self.query_one(RowTable)
        table.focus()
        table.show(self._session.live.log)
        self.set_interval(_REFRESH_SECONDS, lambda: table.show(self._session.live.log))

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        show_row(self.app, event.table, self._detail, grows=False)

    def _detail(self, row: LogRow) -> Detail:
        return f"Event {row.seq}, {row.kind}", lambda width: event_lines(self._session, row.seq, width)

    def action_worker_output(self) -> None:
        words = last_words(self._session.project, self._session.run) or "The worker has printed nothing."
        self.app.push_screen(DetailScreen("The worker's output", lambda width: verbatim(words, width)))


def _paint(row: LogRow, _widths: Sequence[int]) -> Sequence[Line]:
    tone: Tone = "warn" if row.level == "warning" else ""
    return (
        line(clock_text(row.time), "dim"),
        line(row.kind.replace("_", " "), "dim"),
        line(one_line(row.text), tone),
    )

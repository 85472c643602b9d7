"""One batch: its rollouts, the failures first; each opens to the exact prompt and the raw answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.screen import Screen

from engine.ground.errors import JournalError
from engine.programs.formatting import as_text
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.widgets.details import Detail, show_row
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.links import Link, ask_where
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.figures import count_text, gain_text, value_text
from promptgrad_tui.views.run.details import judged_text, rollout_lines, success_mark
from promptgrad_tui.views.run.rows import BatchStory, RolloutRow
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import BLANK, Line, error_bars, joined, line

_COLUMNS = (
    Column("Score", width=7),
    Column("Error type", width=16, from_width=60),
    Column("Example", share=3),
    Column("Answer", share=1, from_width=50),
    Column("Tokens", width=7, right=True, from_width=90),
    Column("Time", width=7, right=True, from_width=90),
)

_REFRESH_SECONDS = 0.5
_NO_ROLLOUTS = "No rollouts yet."


class BatchScreen(Screen[None]):
    """The rollouts of one batch."""

    BINDINGS = bindings("batch")

    def __init__(
        self, session: RunSession, batch: BatchStory, links: Callable[[BatchStory], list[Link]]
    ) -> None:
        super().__init__()
        self._links = links
        self._session = session
        self._batch = batch
        self._only_failures = False
        self._known: dict[int, tuple[str, str]] = {}
        self._read()

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width, _: [self._title(), self._errors(width)], classes="title two-lines")
        yield RowTable(_COLUMNS, self._paint, empty=_NO_ROLLOUTS, follow=False, classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()
        self.query_one(RowTable).focus()
        if not self._is_whole:
            self.set_interval(_REFRESH_SECONDS, self._keep_up)

    def _keep_up(self) -> None:
        """Take in what has been rolled out since."""
        if not self._is_whole:
            self._read()
            self._show()
            self.query_one(LinesView).repaint()

    def _read(self) -> None:
        self._is_whole = self._batch.scored is not None
        self._rows = self._session.live.rollouts_of(self._batch)

    def action_related(self) -> None:
        """Go to what came of the batch."""
        ask_where(self.app, self._links(self._batch))

    def action_failures(self) -> None:
        self._only_failures = not self._only_failures
        self._show()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        show_row(self.app, event.table, self._detail, grows=False)

    def _detail(self, row: RolloutRow) -> Detail:
        shown = self.query_one(RowTable).rows
        place = f"{shown.index(row) + 1} of {len(shown)}" if row in shown else ""
        title = f"Batch {self._batch.epoch}.{self._batch.batch}, rollout {place}".rstrip()
        return title, lambda width: rollout_lines(self._session, row, width)

    def _show(self) -> None:
        table = self.query_one(RowTable)
        table.empty = "No failures." if self._only_failures and self._rows else _NO_ROLLOUTS
        table.show([row for row in self._rows if not (self._only_failures and row.is_success)])

    def _title(self) -> Line:
        scored = self._batch.scored
        parts: list[Line] = [line(f" Batch {self._batch.epoch}.{self._batch.batch}", "strong")]
        if scored is None:
            parts.append(line(f"{count_text(len(self._rows), 'example')} rolled out so far", "accent"))
        else:
            parts.append(line(f"score {value_text(scored.score)}"))
            parts.append(
                line(f"{len(scored.failures)} of {count_text(len(scored.examples), 'example')} failed")
            )
        if self._batch.kept:
            rules = count_text(len(self._batch.kept), "rule")
            parts.append(line(f"{rules} kept, gain {gain_text(self._batch.gain)}", "good"))
        return joined(parts, "   ")

    def _errors(self, width: int) -> Line:
        scored = self._batch.scored
        return ((" ", ""), *error_bars(scored.error_types, width - 1)) if scored else BLANK

    def _paint(self, row: RolloutRow, _widths: Sequence[int]) -> Sequence[Line]:
        sign, tone = success_mark(row.is_success)
        inputs, answer = self._texts(row)
        return (
            line(f"{sign} {value_text(row.score)}", tone),
            line(one_line(row.error_type), "warn"),
            line(inputs),
            line(answer, tone),
            line(f"{row.tokens:,}", "dim"),
            line(f"{row.seconds:.2f} s", "dim"),
        )

    def _texts(self, row: RolloutRow) -> tuple[str, str]:
        """Return an example's inputs and the program's answer, each on one line."""
        if row.seq not in self._known:
            try:
                event = self._session.rollout(row)
            except JournalError:
                return row.example, "can't be read at the moment"
            prediction = (event.prediction or {}) if event else {}
            values = self._session.example(row.example)
            inputs = [
                as_text(value) for name, value in (values or {}).items() if name not in {"id", *prediction}
            ]
            answer = judged_text(event, values or {}) if event else "not in the journal"
            self._known[row.seq] = (one_line("  ".join(inputs)) or row.example, answer)
        return self._known[row.seq]

"""The panes of a run: four tables and a chart, or one of them alone where there is little room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal

from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.run.panes import artifacts, batches, gradients, lanes, validations
from promptgrad_tui.screens.widgets.chart import LEGEND, ChartData, score_chart
from promptgrad_tui.screens.widgets.pane_tabs import PaneTabs
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.run.now import now_lines, tab_counts
from promptgrad_tui.views.run.rows import GradientRow, TestRow
from promptgrad_tui.views.toned_lines import Line

_PANES = ("batches", "gradients", "validation", "artifacts", "chart")
_TABS = ("Batches", "Gradients", "Validation", "Artifacts", "Scores")
_METHODS = "Methods"
_ALL_FROM = (110, 26)
_CHART_FROM_ROWS, _HIGH_CHART_FROM_ROWS = 34, 44


class RunPanes(Container):
    """What is known of a run, by panes; the one in front has the focus."""

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self._session = session
        self._live = session.live
        self._run = session.run
        self._front = "batches"
        self._zoomed = False
        self._charted = (0, 0, 0)
        contest = session.options.get("contest")
        self._lanes = len(contest["methods"]) * contest["seeds"] if contest else 0

    def compose(self) -> ComposeResult:
        yield PaneTabs(self._tabs, lambda: _PANES.index(self._front), id="tabs")
        yield LinesView(self._chart, id="chart", classes="pane")
        with Container(id="panes"):
            with Horizontal():
                yield self._table("batches", lanes if self._lanes else batches)
                yield self._table("gradients", gradients, self._paint_gradient)
            with Horizontal():
                yield self._table("validation", validations, self._paint_test)
                yield self._table("artifacts", artifacts, self._paint_artifact)
        yield LinesView(self._now, id="now", classes="pane")

    def _tabs(self) -> list[str]:
        """Return the names of the panes, each with what there is in it."""
        names, counts = list(_TABS), list(tab_counts(self._live, len(self._pane("artifacts").rows)))
        if self._lanes:
            names[0], counts[0] = _METHODS, f"{len(self._live.lanes)}/{self._lanes}"
        return [f"{name} {count}" if count else name for name, count in zip(names, counts, strict=True)]

    def _now(self, columns: int, rows: int) -> list[Line]:
        return now_lines(self._session.status(), columns)[:rows]

    def _table(self, name: str, pane: Any, paint: Any = None) -> RowTable[Any]:
        table: RowTable[Any] = RowTable(
            pane.COLUMNS,
            paint or pane.paint,
            empty=self._empty(name, pane),
            # The passes of a batch stand below it.
            sortable=name != "gradients",
            same=getattr(pane, "key", id),
            id=name,
            classes="pane",
        )
        title = _METHODS if pane is lanes else name.capitalize()
        table.border_title = f"{_PANES.index(name) + 1} {title}"
        return table

    def _empty(self, name: str, pane: Any) -> str:
        if not self._lanes or pane is lanes:
            return str(pane.EMPTY)
        return lanes.EMPTY_ARTIFACTS if name == "artifacts" else lanes.EMPTY_ELSEWHERE

    def _paint_gradient(self, row: GradientRow, widths: Sequence[int]) -> Sequence[Line]:
        return gradients.paint(row, widths, self._live.rule_start)

    def _paint_test(self, row: TestRow, widths: Sequence[int]) -> Sequence[Line]:
        return validations.paint(row, widths, self._live.rule_start)

    def _paint_artifact(self, row: artifacts.MatrixRow, widths: Sequence[int]) -> Sequence[Line]:
        return artifacts.paint(row, widths, self._revision)

    @property
    def _revision(self) -> str:
        """The model that the run is on, in short; empty before it has begun."""
        started = self._live.started
        return started.model.short if started else ""

    def on_mount(self) -> None:
        chart = self.query_one("#chart")
        by = "method" if self._lanes else "epoch"
        chart.border_title = f"5 Validation score by {by}, with its 95 % interval"
        chart.border_subtitle = lanes.LEGEND if self._lanes else LEGEND
        self._pane(self._front).focus()

    def show(self) -> None:
        """Draw what has changed in the run."""
        live = self._live
        self._pane("batches").show(live.lanes if self._lanes else live.batch_rows)
        self._pane("gradients").show(gradients.folded(live.gradient_rows()))
        self._pane("validation").show(list(live.tests.values()))
        self.query_one("#tabs", LinesView).repaint()
        self.repaint_now()
        charted = (len(live.epochs), live.rule_changes + len(live.reviews), len(live.lanes))
        if charted != self._charted:
            self._charted = charted
            self.query_one("#chart", LinesView).repaint()

    def repaint_now(self) -> None:
        """Show what the run is doing at this moment, while it does anything."""
        is_live = self._session.is_running and not self._session.is_applying
        if is_live != self.has_class("live"):
            self.set_class(is_live, "live")
        if is_live:
            now = self.query_one("#now", LinesView)
            now.border_title = f"now: {self._live.progress.phase}"
            now.repaint()

    def show_matrix(self, rows: Sequence[artifacts.MatrixRow]) -> None:
        """Draw the artifacts, with the cursor on what this run has saved once that is there."""
        table = self._pane("artifacts")
        rows = artifacts.own_first(rows, self._revision)
        own = [
            number
            for number, row in enumerate(rows)
            if row.entry and row.entry.manifest and row.entry.manifest.run == self._run
        ]
        is_new = len(rows) != len(table.rows)
        table.show(rows, cursor=own[-1] if own and is_new else None)
        self.query_one("#tabs", LinesView).repaint()

    @property
    def current(self) -> object:
        """The row under the cursor of the pane in front; None in the chart."""
        return self._pane(self._front).current if self._front != "chart" else None

    @property
    def chosen_artifact(self) -> Path | None:
        """The artifact under the cursor, where the artifacts are in front."""
        row = self._pane("artifacts").current if self._front == "artifacts" else None
        return row.artifact if row is not None else None

    def _chart(self, width: int, height: int) -> list[Line]:
        story = self._live
        if self._lanes:
            baseline = story.epochs[0].validation if story.epochs else None
            return lanes.score_lines(story.lanes, baseline, width)[:height]
        config = story.started.config if story.started else {}
        changes, before = [], 0
        for change in (change for batch in story.batches.values() for change in batch.changes):
            changes.append((change, len(change.rules) - before))
            before = len(change.rules)
        epochs, per_epoch = config.get("epochs", 1), config.get("batches_per_epoch", 1)
        reviews = [review.validation for review in story.reviews if review.validation is not None]
        return score_chart(ChartData(story.epochs, changes, epochs, per_epoch, reviews), width, height)

    def _pane(self, name: str) -> RowTable[Any]:
        return self.query_one(f"#{name}", RowTable)

    @property
    def is_small(self) -> bool:
        """Whether the terminal has room for one pane only."""
        width, height = self.app.size
        return width < _ALL_FROM[0] or height < _ALL_FROM[1]

    def lay_out(self) -> None:
        """Arrange the panes for the size of the terminal."""
        is_alone, height = self.is_small or self._zoomed, self.app.size.height
        self.set_class(is_alone, "alone")
        self.set_class(is_alone and self._front == "chart", "only-chart")
        self.set_class(not is_alone and height >= _CHART_FROM_ROWS, "with-chart")
        self.set_class(height >= _HIGH_CHART_FROM_ROWS, "high")
        for name in _PANES:
            pane = self.query_one(f"#{name}")
            pane.set_class(name == self._front, "front")
            if isinstance(pane.parent, Horizontal) and name == self._front:
                for row in self.query(Horizontal):
                    row.set_class(row is pane.parent, "front")
        self.query_one("#tabs", LinesView).repaint()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget.id in _PANES and event.widget.id != self._front:
            self._front = event.widget.id
            self.lay_out()

    def go_to(self, number: int) -> None:
        """Focus a pane by its number."""
        name = self._front = _PANES[number - 1]
        if name == "chart":
            self._zoomed = True
            self.screen.set_focus(None)
        self.lay_out()
        if name != "chart":
            self._focus(self._pane(name))

    def _focus(self, pane: RowTable[Any]) -> None:
        # At once, so that the next key meets this pane; later, if it has to be laid out first.
        self.screen.set_focus(pane)
        if not pane.has_focus:
            pane.focus()

    def step(self, step: int) -> None:
        """Go to the next pane, or to the one before."""
        reachable = len(_PANES) if self.has_class("alone") else len(_PANES) - 1
        self.go_to((_PANES.index(self._front) + step) % reachable + 1)

    def zoom(self) -> None:
        """Show the focused pane alone, or all of them."""
        self._zoomed = not self._zoomed
        if self._front == "chart" and not self._zoomed:
            self.go_to(1)
        self.lay_out()

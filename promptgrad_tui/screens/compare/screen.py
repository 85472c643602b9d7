"""The compare screen: examples with both answers, scores and rules, and the prompt as a diff."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.geometry import Size
from textual.widget import Widget

from engine.ground.errors import PromptGradError
from engine.journal.journal import Journal
from promptgrad_tui.screens.compare.choice import Candidate, ChoiceScreen, candidates
from promptgrad_tui.screens.compare.lines import filter_line, title_lines
from promptgrad_tui.screens.compare.state import CompareState
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.details import Detail, show_row
from promptgrad_tui.screens.widgets.dialogs import show_error
from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.pane_tabs import PaneTabs
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.comparison.changes import ExampleChange
from promptgrad_tui.views.comparison.comparison import Comparison
from promptgrad_tui.views.comparison.lines import MARKS, example_lines, prompt_lines, score_lines
from promptgrad_tui.views.figures import value_text
from promptgrad_tui.views.run.details import completion_lines
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import heading
from promptgrad_tui.views.toned_lines import Line, line
from promptgrad_tui.work.compare.comparison import BASELINE, read_comparison

_PANES = ("examples", "example", "scores", "prompt")
_TITLES = {"examples": "Examples", "example": "Example", "scores": "Scores and rules", "prompt": "Prompt"}
_ALL_PANES_FROM = (110, 32)
_EXAMPLE_BELOW_FROM_ROWS = 16
_COLUMNS = (
    Column("", width=9),
    Column("Score", width=13, from_width=44),
    Column("Example", width=8, from_width=60),
    Column("Input", share=3),
    Column("Answers", share=2, from_width=66),
)


class CompareScreen(FittedScreen):
    """Two programs of a project side by side, each named as `read_comparison` takes it."""

    BINDINGS = bindings("compare")

    def __init__(self, project: Path, before: str, after: str) -> None:
        super().__init__()
        self._project = project
        self._names = (before, after)
        self._state: CompareState | None = None
        self._front = "examples"
        self._zoomed = False

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width, _: self._title(width), id="compare-title", classes="title two-lines")
        yield PaneTabs(list(_TITLES.values()), lambda: _PANES.index(self._front), id="compare-tabs")
        with Container(id="compare"):
            with Container(id="compare-left"):
                yield LinesView(lambda width, _: self._filters(width), id="compare-filters")
                yield RowTable(
                    _COLUMNS,
                    _paint,
                    empty="No example was answered by both.",
                    follow=False,
                    same=lambda change: change.key,
                    id="examples",
                    classes="pane",
                )
            with Container(id="compare-right"):
                yield TextView(id="example", classes="pane")
                with Container(id="compare-rest"):
                    yield TextView(id="scores", classes="pane")
                    yield TextView(id="prompt", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        for number, name in enumerate(_PANES, 1):
            self.query_one(f"#{name}").border_title = f"{number} {_TITLES[name]}"
        self.query_one(RowTable).focus()
        self.action_reload()

    def _take(self, names: tuple[str, str], found: Comparison) -> None:
        """Show what was read, unless something else is wanted by now."""
        if names != self._names:
            return
        if self._state is None:
            self._state = CompareState(found)
        else:
            self._state.renew(found)
        self._draw()

    def _give_up(self, names: tuple[str, str], error: PromptGradError) -> None:
        if names != self._names:
            return
        if self.is_current:
            self.dismiss()
        show_error(self.app, error)

    def _draw(self) -> None:
        state = self._state
        if state is None:
            return
        found, split = state.comparison, state.split
        self.query_one("#compare-title", LinesView).repaint()
        self.query_one("#scores", TextView).show(lambda width: score_lines(found, split, width))
        self.query_one("#prompt", TextView).show(lambda width: prompt_lines(found, width))
        self._draw_examples()
        self.refresh_bindings()

    def _draw_examples(self) -> None:
        if self._state is None:
            return
        self.query_one("#compare-filters", LinesView).repaint()
        self.query_one(RowTable).show(self._state.rows())
        self._draw_example()

    def _draw_example(self) -> None:
        change: ExampleChange | None = self.query_one(RowTable).current
        self.query_one("#example", TextView).show(
            lambda width: example_lines(change, width) if change else []
        )

    def _title(self, columns: int) -> list[Line]:
        if self._state is None:
            return [line(" Compare", "strong"), line(" Reading the measurements \u2026", "dim")]
        return title_lines(self._state, columns)

    def _filters(self, columns: int) -> list[Line]:
        return [filter_line(self._state, columns)] if self._state else []

    def on_row_table_moved(self) -> None:
        self._draw_example()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        """Show an example with the exact prompts and the raw answers."""
        show_row(self.app, event.table, self._detail, grows=False)

    def _detail(self, change: ExampleChange) -> Detail:
        return f"Example {change.name}", lambda width: self._all_of(change, width)

    def _all_of(self, change: ExampleChange, columns: int) -> list[Line]:
        lines = example_lines(change, columns)
        if self._state is None:
            return lines
        found = self._state.comparison
        for name, program, answer in (
            ("Before", found.before, change.before),
            ("After", found.after, change.after),
        ):
            if program.journal is None or not answer.completions:
                continue
            lines += heading(f"{name}: {one_line(program.title)}")
            with Journal.open(program.journal, read_only=True) as journal:
                for completion in filter(None, map(journal.completion, answer.completions)):
                    lines += completion_lines(completion, columns)
        return lines

    def fit(self, size: Size) -> None:
        """Show all panes, or only some of them where there is little room."""
        width, height = size
        is_alone = self._zoomed or width < _ALL_PANES_FROM[0] or height < _ALL_PANES_FROM[1]
        shown = self._shown(height) if is_alone else set(_PANES)
        for name in _PANES:
            self.query_one(f"#{name}").display = name in shown
        self.query_one("#compare-left").display = "examples" in shown
        self.query_one("#compare-rest").display = bool(shown & {"scores", "prompt"})
        self.query_one("#compare-right").display = shown != {"examples"}
        self.query_one("#compare-tabs").display = is_alone
        self.set_class(width < _ALL_PANES_FROM[0], "narrow")
        self.query_one("#compare-tabs", LinesView).repaint()

    def _shown(self, height: int) -> set[str]:
        """Return the panes to show where there is no room for all: an example stays beside its list."""
        has_pair = self._front in ("examples", "example") and height >= _EXAMPLE_BELOW_FROM_ROWS
        return {"examples", "example"} if has_pair and not self._zoomed else {self._front}

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget.id in _PANES and event.widget.id != self._front:
            self._front = event.widget.id
            self.fit(self.size)

    def action_pane(self, number: int) -> None:
        self._front = _PANES[number - 1]
        self.fit(self.size)
        pane: Widget = self.query_one(f"#{self._front}")
        # At once, so that the next key meets this pane; later, if it has to be laid out first.
        self.set_focus(pane)
        if not pane.has_focus:
            pane.focus()

    def action_next_pane(self) -> None:
        self.action_pane((_PANES.index(self._front) + 1) % len(_PANES) + 1)

    def action_previous_pane(self) -> None:
        self.action_pane((_PANES.index(self._front) - 1) % len(_PANES) + 1)

    def action_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self.fit(self.size)

    def action_filter(self, step: int) -> None:
        """Show other examples: all, fixed, broken, failing or the same."""
        if self._state is not None:
            self._state.next_filter(step)
            self._draw_examples()

    def action_split(self) -> None:
        if self._state is not None:
            self._state.show_other_split()
            self._draw()

    def action_swap(self) -> None:
        before, after = self._names
        self._names = (after, before)
        self.action_reload()

    def action_reload(self) -> None:
        """Read the comparison, in a thread: intervals of many examples take a while."""
        names = self._names
        read = partial(read_comparison, self._project, *names)
        in_thread(self, read, partial(self._take, names), partial(self._give_up, names))

    async def action_another(self) -> None:
        name = next(name for name in reversed(self._names) if name != BASELINE)
        await compare_with_another(self.app, self._project, name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self._state is not None and self._state.has_other_split if action == "split" else True


async def compare_with_another(app: App[Any], project: Path, name: str) -> None:
    """Ask what to compare the run or artifact called `name` with, and show it; the older comes before."""
    try:
        # Awaited, so that keys that are typed meanwhile reach the list that this opens.
        known = await asyncio.to_thread(candidates, project)
    except PromptGradError as error:
        show_error(app, error)
        return
    own = next((candidate for candidate in known if candidate.name == name), None)
    if own is None:
        return

    def chosen(other: Candidate | None) -> None:
        if other is not None:
            before, after = sorted((own, other), key=lambda candidate: candidate.created)
            app.push_screen(CompareScreen(project, before.name, after.name))

    baseline = Candidate(BASELINE, "baseline", "without rules", float("-inf"), own.baseline, own.baseline)
    others = [baseline, *(candidate for candidate in known if candidate is not own)]
    app.push_screen(ChoiceScreen(f"Compare {own.kind} {one_line(own.title)} with", others), chosen)


def _paint(row: ExampleChange, _widths: Sequence[int]) -> Sequence[Line]:
    expected = row.expected
    answers = [one_line(answer.judged(expected)) for answer in (row.before, row.after)]
    scores: Line = ((answers[0], "dim"),)
    if answers[0] != answers[1]:
        scores = ((f"{answers[0]} \u2192 ", "dim"), (answers[1], ""))
    return (
        (MARKS[row.change],),
        line(f"{value_text(row.before.score)} \u2192 {value_text(row.after.score)}"),
        line(one_line(row.name), "dim"),
        line(one_line("  ".join(row.inputs.values()))),
        scores,
    )

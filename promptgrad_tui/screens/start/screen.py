"""The start page: a project's runs, or recent projects where there is none; the demo; a new project.

What reads journals is imported after the first paint: it takes as long as the paint itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textual.app import ComposeResult
from textual.geometry import Size
from textual.message import Message

from engine.ground.errors import PromptGradError
from engine.project import PROJECT_FILE
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen, show_error
from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.table import Column, RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.run.in_list import DELETED
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.toned_lines import Line, joined, line
from promptgrad_tui.work.machine.recent import RecentProjects

if TYPE_CHECKING:
    from engine.journal.journal import RunRecord
    from promptgrad_tui.screens.live.project_runs import RunWatch

_REFRESH_SECONDS = 2.0
_TITLE_ROWS = 3
_FACTS_FROM_ROWS = 20
_NO_RUN = "No runs yet: press r to start one."
_NO_PROJECT = "Nothing here yet: D runs the demo, i writes a new project."
_LABEL = "The first line is its name, which commands take in place of its id; the rest is a note."
_UNREAD = "The runs can't be read at the moment."
_RUN_COLUMNS = (
    Column("Run (UTC)", width=20),
    Column("Status", width=20),
    Column("Validation", width=15, from_width=60),
    Column("Test", width=15, from_width=60),
    Column("Rules", width=5, right=True, from_width=90),
    Column("Calls", width=7, right=True, from_width=90),
    Column("Time", width=12, right=True, from_width=110),
    Column("Last event", share=1, from_width=120),
)
_PROJECT_COLUMNS = (
    Column("Project", width=24),
    Column("Runs", width=6, right=True),
    Column("Folder", share=1),
)


@dataclass(frozen=True)
class ProjectRow:
    """A recent project; `problem` says why its runs can't be counted."""

    folder: Path
    runs: int = 0
    problem: str = ""

    @classmethod
    def of(cls, folder: Path) -> ProjectRow:
        """Read how many runs a project has."""
        from promptgrad_tui.screens.live.project_runs import read_runs

        try:
            return cls(folder, len(read_runs(folder)))
        except PromptGradError as error:
            return cls(folder, problem=error.message)


class StartScreen(FittedScreen):
    """The project's runs, or recent projects, and what can be started."""

    BINDINGS = bindings("start")

    @dataclass
    class Chosen(Message):
        """A person wants a run opened."""

        run: str

    @dataclass
    class ProjectChosen(Message):
        """A person wants another project opened."""

        folder: Path

    @dataclass
    class Wanted(Message):
        """A person wants something begun."""

        what: Literal["run", "demo", "project", "settings"]

    def __init__(self, folder: Path, recent: RecentProjects) -> None:
        super().__init__()
        self.folder = folder
        self._recent = recent
        self._problem = ""
        self._told: tuple[RunRecord, str] | None = None
        self._watches: dict[str, RunWatch] = {}
        self._opened_run = ""
        self.has_project = self._finds_project

    @property
    def _finds_project(self) -> bool:
        return (self.folder / PROJECT_FILE).is_file()

    @property
    def _table(self) -> RowTable[Any]:
        """The table that is shown: of the runs, or of recent projects."""
        return self.query_one("#runs" if self.has_project else "#recent", RowTable)

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width, _: self._title(width), id="status")
        yield self._runs_table()
        yield self._projects_table()
        facts = TextView(id="run-facts", classes="pane")
        facts.can_focus = False
        yield facts
        yield KeyBar()

    def _runs_table(self) -> RowTable[RunRecord]:
        table: RowTable[RunRecord] = RowTable(
            _RUN_COLUMNS,
            self._paint_run,
            empty=_NO_RUN,
            follow=False,
            same=lambda row: row.id,
            id="runs",
            classes="pane",
        )
        table.border_title = "Runs"
        return table

    def _projects_table(self) -> RowTable[ProjectRow]:
        table = RowTable(
            _PROJECT_COLUMNS,
            _paint_project,
            empty=_NO_PROJECT,
            follow=False,
            same=lambda row: row.folder,
            id="recent",
            classes="pane",
        )
        table.border_title = "Recent projects"
        return table

    def on_mount(self) -> None:
        self._show_table()
        self.set_interval(_REFRESH_SECONDS, self._keep_up)

    def _show_table(self) -> None:
        """Show the runs of the project, or recent projects where there is none."""
        for table in self.query(RowTable):
            table.display = table is self._table
        self.set_focus(self._table)
        self.refresh_bindings()

    def fit(self, size: Size) -> None:
        self.set_class(size.height < _FACTS_FROM_ROWS, "low")

    def on_screen_resume(self) -> None:
        """Bring the table up to date, after the screen itself is there."""
        self.call_after_refresh(self._keep_up)

    def point_at(self, run: str) -> None:
        """Put the cursor on a run that is opened, so that it is there when a person comes back."""
        self._opened_run = run

    def _keep_up(self) -> None:
        if not self.is_current:
            return
        if self._finds_project != self.has_project:
            self.has_project = not self.has_project
            self._show_table()
        self.reload()

    def reload(self) -> None:
        """Read the runs again."""
        from promptgrad_tui.screens.live.project_runs import read_runs

        table = self._table
        rows: Sequence[RunRecord | ProjectRow]
        opened: int | None = None
        try:
            if self.has_project:
                runs = read_runs(self.folder)[::-1]
                self._watch(runs)
                rows = runs
                opened = next((place for place, run in enumerate(runs) if run.id == self._opened_run), None)
                self._opened_run = ""
            else:
                rows = [ProjectRow.of(folder) for folder in self._recent.folders()]
            self._problem = ""
        except PromptGradError as error:
            # What was read before may still be true.
            rows, self._problem = table.rows, f"{error.message} {error.hint}"
        table.empty = _UNREAD if self._problem else _NO_RUN if self.has_project else _NO_PROJECT
        table.show(rows, cursor=opened)
        status = self.query_one(LinesView)
        # A problem is shown in full, however long its paths are.
        lines = len(self._title(status.inner_size.width)) if self._problem else 0
        status.styles.height = min(lines, self.size.height // 2) if lines > _TITLE_ROWS else None
        status.repaint()
        self._show_facts()

    def _watch(self, runs: Sequence[RunRecord]) -> None:
        """Look how far the runs are that processes work on."""
        from promptgrad_tui.screens.live.project_runs import RunWatch

        running = [run.id for run in runs if run.status == "running"]
        self._watches = {run: self._watches.get(run) or RunWatch(self.folder, run) for run in running}
        for watch in self._watches.values():
            watch.look()

    def _paint_run(self, row: RunRecord, widths: Sequence[int]) -> Sequence[Line]:
        name, state, *cells = _paint_run(row, widths)
        watch = self._watches.get(row.id)
        share = line(f" {watch.share}" if watch is not None else "", "accent")
        return (name, (*state, *share), *cells)

    def _show_facts(self) -> None:
        from promptgrad_tui.views.run.in_list import fact_lines

        row, view = self._table.current, self.query_one(TextView)
        self.set_class(self.has_project and row is not None, "has-run")
        if not self.has_project or row is None:
            return
        watch = self._watches.get(row.id)
        doing = watch.activity if watch is not None else ""
        if (row, doing) != self._told:
            is_other = self._told is None or self._told[0].id != row.id
            self._told = (row, doing)
            view.border_title = one_line(row.id)
            now = [line(f"  {doing}", "accent")] if doing else []
            view.show(lambda width: [*now, *fact_lines(row, width)], keep_place=not is_other)

    def on_row_table_moved(self) -> None:
        self._show_facts()
        self.refresh_bindings()

    def _title(self, columns: int) -> list[Line]:
        place = line(one_line(str(self.folder)), "dim")
        if self._problem:
            problem = wrap(self._problem, columns, "  ", "! ")
            return [line(part, "bad") for part in problem]
        if not self.has_project:
            return [
                joined([line("PromptGrad", "strong"), place]),
                line("Learns rules for a prompt, and proves each before it is kept."),
                line(f"There is no {PROJECT_FILE} in this folder.", "dim"),
            ]
        rows = self._table.rows
        running = sum(row.status == "running" for row in rows)
        return [
            joined([line("PromptGrad", "strong"), line(one_line(self.folder.name), "accent"), place]),
            joined(
                [
                    line(f"{len(rows)} run{'' if len(rows) == 1 else 's'}"),
                    line(f"{running} in progress" if running else "", "accent"),
                ]
            ),
        ]

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        if isinstance(event.row, ProjectRow):
            self.post_message(self.ProjectChosen(event.row.folder))
        else:
            self.post_message(self.Chosen(event.row.id))

    def action_new_run(self) -> None:
        self.post_message(self.Wanted("run"))

    def action_project(self) -> None:
        """Look at the project's settings, its data, its model and what a run will cost."""
        self.post_message(self.Wanted("settings"))

    def action_demo(self) -> None:
        self.post_message(self.Wanted("demo"))

    def action_new_project(self) -> None:
        self.post_message(self.Wanted("project"))

    def action_try(self) -> None:
        """Try inputs with the rules of the run under the cursor."""
        from promptgrad_tui.screens.trying.screen import TryScreen
        from promptgrad_tui.screens.trying.source import source_of_project

        try:
            source = source_of_project(self.folder, self._table.current)
        except PromptGradError as error:
            show_error(self.app, error)
        else:
            self.app.push_screen(TryScreen(source))

    def action_label(self) -> None:
        """Ask for the name of the run under the cursor, and for a note."""
        row = self._table.current
        if row is None:
            return

        def labelled(text: str | None) -> None:
            if text is None:
                return
            name, _, note = text.partition("\n")
            self._change(lambda path: label_run(path, row.id, name=one_line(name), note=note.strip()))

        from engine.journal.run_labels import label_run
        from promptgrad_tui.screens.widgets.edit_screen import EditScreen

        text = f"{row.name}\n{row.note}".rstrip("\n")
        self.app.push_screen(EditScreen("Name of the run", text, _LABEL, keeps_empty=True), labelled)

    def action_delete(self) -> None:
        """Ask whether to delete the run under the cursor."""
        row = self._table.current
        if row is None:
            return

        def answered(value: str | None) -> None:
            if value == "delete":
                self._change(delete)

        def delete(path: Path) -> None:
            from engine.journal.journal import Journal
            from engine.journal.run_labels import delete_run

            with Journal.open(path) as journal:
                delete_run(journal, row.id)

        choices = [Choice("X", "Delete the run", "delete")]
        self.app.push_screen(QuestionScreen(f"Delete {row.name or row.id}?", DELETED, choices), answered)

    def _change(self, change: Callable[[Path], None]) -> None:
        from engine.journal.journal import journal_path

        in_thread(self, partial(change, journal_path(self.folder)), lambda _: self.reload())

    async def action_compare(self) -> None:
        from promptgrad_tui.screens.compare.screen import compare_with_another

        row = self._table.current
        if row is not None:
            await compare_with_another(self.app, self.folder, row.id)

    def action_labels(self) -> None:
        """Show the labels that the run under the cursor doubts."""
        from promptgrad_tui.screens.run.labels_screen import LabelsScreen

        row = self._table.current
        if row is not None:
            self.app.push_screen(LabelsScreen(self.folder, row.id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ("label", "delete", "labels"):
            row = self._table.current if self.has_project and self.is_mounted else None
            return row is not None and (action == "label" or row.status != "running")
        if action == "compare":
            return self.has_project and self.is_mounted and self._table.current is not None
        return self.has_project if action in ("new_run", "project", "try") else True


def _paint_run(row: RunRecord, _widths: Sequence[int]) -> Sequence[Line]:
    from promptgrad_tui.views.run.in_list import run_cells

    return run_cells(row)


def _paint_project(row: ProjectRow, _widths: Sequence[int]) -> Sequence[Line]:
    problem = line(f"! {one_line(row.problem)}" if row.problem else "", "bad")
    return (
        line(one_line(row.folder.name), "strong"),
        line("?" if row.problem else str(row.runs)),
        joined([problem, line(one_line(str(row.folder)), "dim")]),
    )

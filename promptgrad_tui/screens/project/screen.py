"""The Project screen: the settings as a form, the data, the model, and what a run will cost.

Whatever needs DSPy or a model is looked at by `promptgrad check` and `promptgrad models` in child processes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Size
from textual.message import Message
from textual.widgets import ContentSwitcher

from engine.ground.errors import ProjectError, PromptGradError
from engine.project import PROJECT_FILE
from engine.project.toml_lines import Place
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.models.state import Inventory
from promptgrad_tui.screens.project.check_view import CheckView
from promptgrad_tui.screens.project.checks import ProjectChecks, Upto
from promptgrad_tui.screens.project.draft import ProjectDraft
from promptgrad_tui.screens.project.fields import FormField
from promptgrad_tui.screens.project.form import ProjectForm
from promptgrad_tui.screens.project.lines import broken_lines, standing_line
from promptgrad_tui.screens.project.models import ModelPicker
from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen, show_error
from promptgrad_tui.screens.widgets.front_screen import FrontScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.outside_editor import edit_outside
from promptgrad_tui.screens.widgets.pane_tabs import tabs_line
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.estimate import range_text
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, joined, line, plain

_PANES = ("settings", "data", "model", "estimate")
_SECONDS_BETWEEN_LOOKS = 1.0


class ProjectScreen(FrontScreen):
    """A project before it is run."""

    BINDINGS = bindings("project")

    class RunWanted(Message):
        """The settings are saved, and a person wants them run."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / PROJECT_FILE
        self._draft: ProjectDraft | None = None
        self._broken: tuple[ProjectError, str] | None = None
        self._has_moved = False
        self._pane = "settings"
        self._checks = ProjectChecks(folder, self._show_checked)
        self._is_check_due = False
        self._has_looked_for_models = False

    def compose(self) -> ComposeResult:
        yield LinesView(lambda width, _: self._title(width), classes="title two-lines")
        with ContentSwitcher(initial="settings", id="project"):
            yield ProjectForm(id="settings")
            yield CheckView("Splits", lambda width: self._checks.data_lines(self._draft, width), id="data")
            yield ModelPicker(self._role_of, self._checks.rate_of, id="model")
            yield CheckView(
                "What a run will take",
                lambda width: self._checks.estimate_lines(self._draft, width),
                id="estimate",
            )
            yield TextView(id="broken", classes="pane")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the file, keep an eye on it, and look at the data."""
        self._read()
        self.set_interval(_SECONDS_BETWEEN_LOOKS, self._look)

    def fit(self, size: Size) -> None:
        self.set_class(size.height < 16, "tiny")

    def returned(self) -> None:
        """Look for models again: the screen in front may have measured one."""
        if self._has_looked_for_models:
            self._look_for_models()

    # What is shown

    def _title(self, columns: int) -> list[Line]:
        name = line(f" {one_line(self._file.parent.name)}", "strong")
        front = _PANES.index(self._pane) if self._draft is not None else -1
        tabs = tabs_line([pane.capitalize() for pane in _PANES], front, columns - len(plain(name)))
        if self._draft is None:
            return [joined([name, tabs]), line(" can't be read", "bad")]
        standing = [((" ", ""), *standing_line(self._draft, has_moved=self._has_moved))]
        if self._checks.doing:
            standing.append(line(one_line(self._checks.doing), "dim"))
        elif (calls := self._checks.calls(self._draft)) is not None:
            standing.append(line(f"{range_text(calls.few, calls.many)} calls", "dim"))
        return [joined([name, tabs]), joined(standing, "   ")]

    def _show(self) -> None:
        """Draw everything again."""
        if self._draft is not None:
            self.query_one(ProjectForm).show(self._draft)
        self._show_checked()

    def _show_checked(self) -> None:
        self.query_one("#data", CheckView).show(self._checks.of_data)
        self.query_one("#estimate", CheckView).show(self._checks.of_the_rest)
        self.query_one(ModelPicker).repaint()
        self.query_one(LinesView).repaint()
        self.refresh_bindings()

    def _role_of(self, uri: str) -> str:
        """Return what the draft uses a model for."""
        project = self._draft.project if self._draft is not None else None
        if project is None:
            return ""
        if uri == project.model.task:
            return "task"
        return "gradients" if uri == project.model.reflection else ""

    # The file

    def _read(self) -> None:
        try:
            if self._draft is None:
                self._draft = ProjectDraft(self._file)
            else:
                self._draft.read_again()
        except ProjectError as error:
            self._show_broken(error)
            return
        self._broken, self._has_moved = None, False
        self._show()
        self._bring_to_front(self._pane)
        self._check("data")

    def _show_broken(self, error: ProjectError) -> None:
        text = ""
        with suppress(OSError):
            text = self._file.read_text(encoding="utf-8", errors="replace")
        self._draft, self._broken = None, (error, text)
        self.query_one("#broken", TextView).show(
            lambda width: broken_lines(error.message, error.hint, text, error.line, width)
        )
        self.query_one(ContentSwitcher).current = "broken"
        self.query_one("#broken").focus()
        self._show_checked()

    def _look(self) -> None:
        """Notice that the file has changed on the disk."""
        draft, form = self._draft, self.query_one(ProjectForm)
        if draft is None:
            now = ""
            with suppress(OSError):
                now = self._file.read_text(encoding="utf-8", errors="replace")
            if self._broken is None or now != self._broken[1]:
                self._read()
        elif not draft.file.is_current() and not form.is_editing:
            if draft.is_changed:
                self._has_moved = True
                self.query_one(LinesView).repaint()
            else:
                self._read()
                self.notify("The file has changed on disk and was read again.")

    def action_save(self) -> None:
        self._save(then_run=False)

    def action_run(self) -> None:
        self._save(then_run=True)

    def _save(self, *, then_run: bool) -> None:
        draft = self._draft
        if draft is None:
            return
        if draft.problems:
            place, sentence = next(iter(draft.problems.items()))
            self._go_to(place)
            self.notify(f"Nothing was saved: {sentence}", severity="error", markup=False)
            return
        if draft.is_changed and not self._write(draft):
            return
        if then_run:
            self.post_message(self.RunWanted())

    def _write(self, draft: ProjectDraft) -> bool:
        if not draft.file.is_current():
            self._ask_what_to_keep()
            return False
        try:
            draft.save()
        except ProjectError as error:
            show_error(self.app, error)
            return False
        self._show()
        self.notify("Saved.", timeout=2)
        self._check("data")
        return True

    def _ask_what_to_keep(self) -> None:
        def answered(value: str | None) -> None:
            if value == "file" and self._draft is not None:
                self._draft.undo_all()
            if value:
                self._read_or_tell()

        text = f"{PROJECT_FILE} has changed on disk since it was read. Nothing was overwritten."
        choices = [
            Choice("k", "Read it again, and keep my changes to review and save", "mine"),
            Choice("f", "Read it again, and drop my changes", "file"),
        ]
        self.app.push_screen(QuestionScreen("The file has changed", text, choices), answered)

    def _read_or_tell(self) -> None:
        """Read the file again; changes that aren't saved are kept also where it can't be read."""
        draft = self._draft
        if draft is not None and draft.is_changed:
            try:
                draft.read_again()
            except ProjectError as error:
                show_error(self.app, error)
                return
        self._read()

    def action_edit_outside(self) -> None:
        """Open the file in the person's own editor, at the field under the cursor."""
        draft, row = self._draft, self.query_one(ProjectForm).current
        if draft is not None and draft.is_changed:
            self.notify("Save your changes first, or undo them with Z.", severity="warning")
            return
        number = self._broken[0].line if self._broken else 0
        if draft is not None and row is not None:
            number = draft.line(row)
        try:
            edit_outside(self.app, self._file, number)
        except PromptGradError as error:
            show_error(self.app, error)
        self._read()

    def action_undo_all(self) -> None:
        """Undo all changes, after a question where that is more than one."""
        draft = self._draft
        if draft is None:
            return

        def answered(value: str | None) -> None:
            if value:
                draft.undo_all()
                self._show()

        if len(draft.edits) < 2:
            answered("undo")
            return
        text = "Every field becomes what the file says."
        choices = [Choice("Z", "Undo all changes", "undo")]
        self.app.push_screen(QuestionScreen(f"Undo {len(draft.edits)} changes?", text, choices), answered)

    # Moving about

    def action_pane(self, number: int) -> None:
        self._bring_to_front(_PANES[number - 1])

    def action_next_pane(self) -> None:
        self._bring_to_front(_PANES[(_PANES.index(self._pane) + 1) % len(_PANES)])

    def action_previous_pane(self) -> None:
        self._bring_to_front(_PANES[_PANES.index(self._pane) - 1])

    def _bring_to_front(self, name: str) -> None:
        self._pane = name
        self.query_one(ContentSwitcher).current = name
        # At once, and not when the widget comes to it: the next key may be on its way.
        self.set_focus(self.query_one(f"#{name}", Container).query_one(RowTable))
        if name == "model" and not self._has_looked_for_models:
            self._look_for_models()
        self.query_one(LinesView).repaint()
        self.refresh_bindings()

    def _go_to(self, place: Place) -> None:
        self._bring_to_front("settings")
        self.query_one(ProjectForm).go_to(place)

    def on_project_form_changed(self) -> None:
        self._show_checked()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        finding = event.row
        if isinstance(finding, Finding) and finding.field and self._draft is not None:
            self._go_to(tuple(finding.field.split(".")))

    def on_model_picker_picked(self, message: ModelPicker.Picked) -> None:
        draft = self._draft
        if draft is None:
            return
        row = next(row for row in draft.rows if row.place == ("model", message.role))
        assert isinstance(row, FormField)
        draft.set(row, message.uri)
        self._show()
        self.notify(f"[model] {message.role} = {message.uri}; s saves it.", markup=False, timeout=3)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ("leave_screen", "leave"):
            return True
        if not self.is_mounted or self.query_one(ProjectForm).is_editing:
            return False
        if self._draft is None:
            return action == "edit_outside"
        if action == "check":
            return not self._checks.is_measuring
        return self._draft.is_changed if action in ("save", "undo_all") else True

    def action_leave_screen(self) -> None:
        self._leave("leave_screen")

    def action_leave(self) -> None:
        """Leave the app, after a question where something isn't saved."""
        self._leave("leave")

    def _leave(self, action: str) -> None:
        draft, form = self._draft, self.query_one(ProjectForm)
        if form.is_editing:
            form.action_accept()

        def answered(value: str | None) -> None:
            if value == "save":
                self._save(then_run=False)
            if value == "drop" and draft is not None:
                draft.undo_all()
            if value and (draft is None or not draft.is_changed):
                self.app.call_later(self.app.run_action, action)

        if draft is None or not draft.is_changed:
            self.app.call_later(self.app.run_action, action)
            return
        choices = [Choice("s", "Save the changes", "save"), Choice("d", "Drop them", "drop")]
        self.app.push_screen(QuestionScreen("Changes are not saved", "", choices), answered)

    # Child processes

    def action_check(self) -> None:
        self._check("rate")

    def _check(self, upto: Upto) -> None:
        """Check the project; a measurement in progress, which takes minutes, is brought to its end first."""
        if self._checks.is_measuring:
            self._is_check_due = True
        else:
            self.run_worker(self._run_check(upto), group="check", exclusive=True, exit_on_error=False)

    async def _run_check(self, upto: Upto) -> None:
        await self._checks.run(upto)
        if self._is_check_due:
            self._is_check_due = False
            await self._checks.run("data")

    def _look_for_models(self) -> None:
        self._has_looked_for_models = True
        self.run_worker(self._read_models(), group="models", exclusive=True, exit_on_error=False)

    async def _read_models(self) -> None:
        picker = self.query_one(ModelPicker)
        try:
            reply = await CommandProcess(["models", "--json"], self._file.parent).run()
        except PromptGradError as error:
            picker.show(Inventory(), f"{error.message} {error.hint}")
        else:
            picker.show(Inventory.from_json(reply))

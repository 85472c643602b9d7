"""The full-screen app: which screens there are, and what works on all of them.

Only what the first paint needs is imported at once.
"""

from __future__ import annotations

import subprocess
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from platformdirs import user_state_path
from rich.text import Text
from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.keys.keymap import read_keymap
from promptgrad_tui.screens.keys.palette import ActionsProvider, help_lines, valid_actions
from promptgrad_tui.screens.start.screen import StartScreen
from promptgrad_tui.screens.theme import THEME
from promptgrad_tui.screens.widgets.dialogs import (
    Choice,
    InputScreen,
    PanelScreen,
    QuestionScreen,
    error_panel,
)
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.work.machine.recent import RecentProjects

if TYPE_CHECKING:
    from engine.journal.journal import Journal
    from promptgrad_tui.screens.live.session import RunSession
    from promptgrad_tui.screens.models.screen import ModelsScreen


class PromptGradApp(App[int]):
    """PromptGrad in a terminal: on `run` of the project in `folder`, or on the start page."""

    TITLE = "PromptGrad"
    CSS_PATH = "style.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionsProvider}
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def __init__(
        self,
        folder: Path,
        run: str | None = None,
        *,
        worker: subprocess.Popen[bytes] | None = None,
        recent: RecentProjects | None = None,
        keymap: Mapping[str, str] | None = None,
        debug: bool = False,
    ) -> None:
        super().__init__()
        self._debug = debug
        self.folder = folder.resolve()
        self._first_run = run
        self._first_worker = worker
        self._recent = recent or RecentProjects.of_user()
        self._keys = dict(keymap or {})
        self._searched = ""
        self._journal: Journal | None = None
        self._models: ModelsScreen | None = None
        self._is_beginning = False

    def on_mount(self) -> None:
        """Open the first screen."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.set_keymap(self._keys)
        self.push_screen(StartScreen(self.folder, self._recent))
        if self._first_run is not None:
            # At once, so that the start page isn't painted first.
            self.open_run(self._first_run, self._first_worker)

    def open_run(self, run: str, worker: subprocess.Popen[bytes] | None = None) -> None:
        """Show a run of the project; `worker` is its process where it was started from here."""
        from promptgrad_tui.screens.live.session import RunSession
        from promptgrad_tui.screens.run.screen import RunScreen

        try:
            journal = self._open_journal()
            self.push_screen(RunScreen(RunSession(journal, journal.run(run), worker)))
        except PromptGradError as error:
            self.show_error(error)
        else:
            self._recent.remember(self.folder)

    def _open_journal(self) -> Journal:
        """Return the project's journal, to read it: what is written goes over a connection of its own."""
        from engine.journal.journal import Journal, journal_path
        from promptgrad_tui.screens.live.project_runs import SCREEN_WAITS_SECONDS

        if self._journal is None:
            path = journal_path(self.folder)
            self._journal = Journal.open(path, read_only=True, busy_seconds=SCREEN_WAITS_SECONDS)
        return self._journal

    def open_project(self, folder: Path) -> None:
        """Go to the start page of another project; from there one may go back to this one."""
        self._turn_to(folder)
        self._recent.remember(folder)
        self.push_screen(StartScreen(folder, self._recent))

    def _turn_to(self, folder: Path) -> None:
        if folder != self.folder:
            self.folder, self._journal = folder, None

    def on_start_screen_chosen(self, message: StartScreen.Chosen) -> None:
        """Open a run."""
        self.open_run(message.run)

    def on_start_screen_project_chosen(self, message: StartScreen.ProjectChosen) -> None:
        """Open a project."""
        self.open_project(message.folder)

    def on_start_screen_wanted(self, message: StartScreen.Wanted) -> None:
        """Begin what a person wants."""
        begin = {
            "run": self._begin_run,
            "demo": self._begin_demo,
            "project": self._begin_project,
            "settings": self._show_project,
        }
        begin[message.what]()

    def _show_project(self) -> None:
        from promptgrad_tui.screens.project.screen import ProjectScreen

        self.push_screen(ProjectScreen(self.folder))

    def on_project_screen_run_wanted(self) -> None:
        """Start a run with the settings that were just saved."""
        self._begin_run()

    def _begin_run(self) -> None:
        if not self._is_beginning:
            self._is_beginning = True
            self._start_run(self.folder)

    @work(thread=True, group="journal")
    def _start_run(self, folder: Path) -> None:
        # In a thread: where another program holds the journal, this waits for it.
        from promptgrad_tui.screens.start.projects import begin_run

        try:
            started = begin_run(folder)
        except PromptGradError as error:
            self.call_from_thread(self.show_error, error)
        else:
            self.call_from_thread(self.open_run, started.run, started.worker)
        finally:
            self._is_beginning = False

    def _begin_demo(self) -> None:
        from promptgrad_tui.work.run.demo_folder import write_demo

        try:
            folder = write_demo(None, 0).resolve()
        except PromptGradError as error:
            self.show_error(error)
        else:
            self.open_project(folder)
            self._begin_run()

    def _begin_project(self) -> None:
        from promptgrad_tui.screens.start.projects import free_folder, write_project

        def write(name: str | None) -> None:
            if not name:
                return
            try:
                self.open_project(write_project(Path(name).expanduser().resolve()))
            except PromptGradError as error:
                self.show_error(error)

        self.push_screen(
            InputScreen("Folder of the new project", str(free_folder(self.folder / "project"))), write
        )

    def show_error(self, error: PromptGradError) -> None:
        """Show an error with what to do about it."""
        self.push_screen(error_panel(error))

    def _handle_exception(self, error: Exception) -> None:
        if isinstance(error, PromptGradError):
            self.show_error(error)
        elif self.is_headless or self._debug:
            super()._handle_exception(error)
        else:
            self._return_code = 1
            self.panic(Text(_last_words(error)))

    @property
    def _target(self) -> RowTable[Any] | TextView | None:
        focused = self.screen.focused
        if isinstance(focused, RowTable | TextView):
            return focused
        return next(iter(self.screen.query(TextView)), None) or next(iter(self.screen.query(RowTable)), None)

    def action_help(self) -> None:
        """Show the keys that are valid now, and the words on the screen."""
        actions = list(valid_actions(self.screen))
        self.push_screen(PanelScreen("Keys that are valid here", lambda width: help_lines(actions, width)))

    def action_search(self) -> None:
        """Ask for a text and go to where it is."""

        def search(text: str | None) -> None:
            if text:
                self._searched = text
                self._find(backwards=False)

        if self._target is not None:
            self.push_screen(InputScreen("Search", self._searched, "text"), search)

    def action_search_next(self) -> None:
        """Go to the next match."""
        self._find(backwards=False)

    def action_search_previous(self) -> None:
        """Go to the match before."""
        self._find(backwards=True)

    def _find(self, *, backwards: bool) -> None:
        target = self._target
        if target is not None and self._searched and not target.find(self._searched, backwards=backwards):
            self.notify(f"Not found: {self._searched}", severity="warning", markup=False)

    def action_copy_row(self) -> None:
        """Copy the row under the cursor, or the text."""
        target = self._target
        if isinstance(target, TextView):
            self._copy(target.text)
        elif target is not None and target.current is not None:
            self._copy(target.row_text(target.cursor))

    def _copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"Copied {len(text):,} characters.", timeout=2)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply."""
        return action != "models" or self._models is None or self._models not in self.screen_stack

    def action_models(self) -> None:
        """Show the models of this machine; the screen is kept, so that a download goes on behind others."""
        from promptgrad_tui.screens.models.screen import NAME, ModelsScreen

        if self._models is None:
            self._models = ModelsScreen(self.folder)
            self.install_screen(self._models, NAME)
        if self._models not in self.screen_stack:
            self._models.look_from(self.folder)
            self.push_screen(NAME)

    def action_leave_screen(self) -> None:
        """Go back to the screen before; who presses it once too often on the way back is not thrown out."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
            if isinstance(self.screen, StartScreen):
                self._turn_to(self.screen.folder)
        else:
            self.notify("This is the first screen: q leaves.", timeout=2)

    def action_leave(self) -> None:
        """Leave; a run that is under way goes on or is stopped, as a person says; a download is ended."""
        watched = self._watched()
        session = watched if watched is not None and watched.is_running else None
        work = self._models.work_lost_by_leaving if self._models is not None else ""
        if session is None and not work:
            self.exit(0)
            return

        def answered(value: str | None) -> None:
            if value == "stop" and session is not None:
                self.notify("Stopping the run ...")
                self._stop_and_leave(session)
            elif value:
                self.exit(0)

        text = f"{work}\n\n" if work else ""
        choices = [Choice("g", "Leave, and end it", "go")]
        if session is not None:
            text += "The run goes on in its own process. To look at it again, type promptgrad in its folder:"
            text += f"\n{one_line(str(session.project))}"
            choices = [
                Choice("g", "Leave; the run goes on", "go"),
                Choice("s", "Leave, and stop the run", "stop"),
            ]
        self.push_screen(QuestionScreen("Leave?", text.rstrip(), choices), answered)

    @work(thread=True, group="journal", exit_on_error=False)
    def _stop_and_leave(self, session: RunSession) -> None:
        # In a thread: where another program holds the journal, this waits for it.
        try:
            session.send_command("stop")
        except PromptGradError as error:
            self.call_from_thread(self.show_error, error)
        else:
            self.call_from_thread(self.exit, 0)

    def _watched(self) -> RunSession | None:
        """Return the run that is on one of the screens, if one is."""
        sessions = (getattr(screen, "session", None) for screen in self.screen_stack)
        return next((session for session in sessions if session is not None), None)


def _last_words(error: Exception) -> str:
    """Write the traceback of an error that should not happen to a file, and return what to tell a person."""
    told = f"Something went wrong that should not: {type(error).__name__}: {error}"
    file = user_state_path("promptgrad", appauthor=False) / "last-error.txt"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        told += f"\nPlease report it with {file}."
    return f"{told}\nThe run, if one was under way, goes on."


def open_app(
    folder: Path,
    run: str | None = None,
    *,
    worker: subprocess.Popen[bytes] | None = None,
    debug: bool = False,
) -> int:
    """Open the app on a run (an id, a part of one, or "last") or on the start page; return the exit code.

    `worker` is the run's process where it has just been started, so that the app can tell if it dies;
    `debug` shows a traceback where something goes wrong that should not.
    """
    app = PromptGradApp(folder, run, worker=worker, keymap=read_keymap(), debug=debug)
    result = app.run()
    return result if result is not None else app.return_code or 0

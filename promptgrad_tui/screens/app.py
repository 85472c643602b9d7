"""The full-screen app: which screens there are, and what works on all of them.

Only what the first paint needs is imported at once.
"""

from __future__ import annotations

import os
import subprocess
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from platformdirs import user_state_path
from rich.text import Text
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea
from textual.worker import Worker

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.colourless import Colourless
from promptgrad_tui.screens.help_screen import HelpScreen
from promptgrad_tui.screens.keys import paste
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.keys.keymap import read_keymap
from promptgrad_tui.screens.keys.palette import ActionsProvider, valid_actions
from promptgrad_tui.screens.leaving import LeaveQuestion, parting_words, runs_under_way, stop_runs
from promptgrad_tui.screens.searching import Searching
from promptgrad_tui.screens.start.screen import StartScreen
from promptgrad_tui.screens.theme import THEME, remember_theme, remembered_theme
from promptgrad_tui.screens.threads import in_thread
from promptgrad_tui.screens.widgets.dialogs import (
    Choice,
    InputScreen,
    QuestionScreen,
    TypedScreen,
    show_error,
)
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.machine.recent import RecentProjects

if TYPE_CHECKING:
    from engine.journal.journal import Journal
    from promptgrad_tui.screens.live.session import RunSession
    from promptgrad_tui.screens.models.screen import ModelsScreen


class PromptGradApp(Searching):
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
        answers_to_grade: int = 0,
    ) -> None:
        super().__init__()
        self._debug = debug
        if self.no_color:
            self._filters = [Colourless()]
        self.folder = folder.resolve()
        self._first_run = run
        self._first_worker = worker
        self._recent = recent or RecentProjects.of_user()
        self._keys = dict(keymap or {})
        self._journal: Journal | None = None
        self._models: ModelsScreen | None = None
        self._beginning: Worker[None] | None = None
        self._answers_to_grade = answers_to_grade

    def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = remembered_theme(self.available_themes)
        self.theme_changed_signal.subscribe(self, remember_theme)
        self.set_keymap(self._keys)
        self.push_screen(StartScreen(self.folder, self._recent))
        if self._first_run is not None:
            # At once, so that the start page isn't painted first.
            self.open_run(self._first_run, self._first_worker)
        elif self._answers_to_grade:
            self._show_judge(self._answers_to_grade)

    def open_run(self, run: str, worker: subprocess.Popen[bytes] | None = None) -> None:
        """Show a run of the project; `worker` is its process where it was started from here."""
        from promptgrad_tui.screens.live.session import RunSession
        from promptgrad_tui.screens.run.screen import RunScreen

        try:
            journal = self._open_journal()
            start = next((one for one in reversed(self.screen_stack) if isinstance(one, StartScreen)), None)
            self.push_screen(RunScreen(RunSession(journal, journal.run(run), worker)))
            if start is not None:
                start.point_at(run)
        except PromptGradError as error:
            show_error(self, error)
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
        self.open_run(message.run)

    def on_start_screen_project_chosen(self, message: StartScreen.ProjectChosen) -> None:
        self.open_project(message.folder)

    def on_start_screen_wanted(self, message: StartScreen.Wanted) -> None:
        begin = {
            "run": self._ask_to_run,
            "demo": self._ask_for_demo,
            "project": self._begin_project,
            "settings": self._show_project,
        }
        begin[message.what]()

    def _show_project(self) -> None:
        from promptgrad_tui.screens.project.screen import ProjectScreen

        self.push_screen(ProjectScreen(self.folder))

    def on_project_screen_run_wanted(self) -> None:
        """Ask whether to start a run with the settings that were just saved."""
        self._ask_to_run()

    def _ask_to_run(self) -> None:
        from promptgrad_tui.screens.start.run_question import RunQuestion

        def answered(value: str | None) -> None:
            if value:
                self._begin_run()

        self.push_screen(RunQuestion(self.folder), answered)

    def _begin_run(self) -> None:
        from promptgrad_tui.screens.start.projects import begin_run

        if self._beginning is None or self._beginning.is_finished:
            self._beginning = in_thread(
                self,
                partial(begin_run, self.folder),
                lambda started: self.open_run(started.run, started.worker),
            )

    def _ask_for_demo(self) -> None:
        from promptgrad_tui.work.run.demo_folder import free_folder

        folder = free_folder(self.folder / "promptgrad-demo")

        def answered(value: str | None) -> None:
            if value:
                self._begin_demo(folder)

        text = f"Writes {one_line(str(folder))}, a project with its own tiny model, and runs it: about "
        text += "half a minute. Nothing leaves this machine."
        self.push_screen(
            QuestionScreen("Run the demo?", text, [Choice("S", "Start the demo", "start")]), answered
        )

    def _begin_demo(self, wanted: Path) -> None:
        from promptgrad_tui.work.run.demo_folder import write_demo

        try:
            folder = write_demo(wanted, 0).resolve()
        except PromptGradError as error:
            show_error(self, error)
        else:
            self.open_project(folder)
            self._begin_run()

    def _begin_project(self) -> None:
        from promptgrad_tui.screens.start.projects import write_project
        from promptgrad_tui.work.run.demo_folder import free_folder

        def write(name: str | None) -> None:
            if not name:
                return
            try:
                self.open_project(write_project(Path(name).expanduser().resolve()))
            except PromptGradError as error:
                show_error(self, error)

        self.push_screen(
            InputScreen("Folder of the new project", str(free_folder(self.folder / "project"))), write
        )

    def _handle_exception(self, error: Exception) -> None:
        if isinstance(error, PromptGradError):
            show_error(self, error)
        elif self.is_headless or self._debug:
            super()._handle_exception(error)
        else:
            self._return_code = 1
            self.panic(Text(_last_words(error)))

    def action_help(self) -> None:
        """Show the keys that are valid now, and the words on the screen."""
        actions = list(valid_actions(self.screen))
        self.push_screen(HelpScreen(actions))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ("search_next", "search_previous"):
            return bool(self._searched)
        if action in ("search", "jump", "copy_row"):
            # Letters typed into a field are not keys.
            return not isinstance(self.screen.focused, Input | TextArea)
        if action == "judge":
            return not getattr(self.screen, "is_grading", False)
        return action != "models" or self._models is None or self._models not in self.screen_stack

    def action_models(self) -> None:
        """Show the models of this machine; the screen is kept, so that a download continues."""
        from promptgrad_tui.screens.models.screen import NAME, ModelsScreen

        if self._models is None:
            self._models = ModelsScreen(self.folder)
            self.install_screen(self._models, NAME)
        if self._models not in self.screen_stack:
            self._models.look_from(self.folder)
            self.push_screen(NAME)

    def action_judge(self) -> None:
        """Ask whether the program shall answer, so that a person can grade what it says."""
        from engine.project.settings import load_project
        from promptgrad_tui.work.code.judging import check_asks_judge

        try:
            check_asks_judge(load_project(self.folder))
        except PromptGradError as error:
            show_error(self, error)
            return

        def answered(value: str | None) -> None:
            if value:
                self._show_judge()

        text = "The program answers examples, and you grade what it says, so that the judge can be measured. "
        text += "That loads the model; answers that were paid for before cost nothing."
        self.push_screen(
            QuestionScreen("Grade answers?", text, [Choice("a", "Ask the program", "ask")]), answered
        )

    def _show_judge(self, n: int = 0) -> None:
        from promptgrad_tui.screens.review.judge.screen import ANSWERS, JudgeScreen

        if not isinstance(self.screen, JudgeScreen):
            self.push_screen(JudgeScreen(self.folder, n or ANSWERS))

    def action_leave_screen(self) -> None:
        """Go back to the screen before; who presses it once too often on the way back is not thrown out."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
            if isinstance(self.screen, StartScreen):
                self._turn_to(self.screen.folder)
        else:
            self.notify("This is the first screen: q quits.", timeout=2)

    def action_leave(self) -> None:
        """Leave; runs in progress continue or are stopped, as a person chooses; a download is ended."""
        runs = runs_under_way(self._folders())
        work = self._models.work_lost_by_leaving if self._models is not None else ""
        if not runs and not work:
            self.exit(0)
            return

        def answered(value: str | None) -> None:
            if value == "stop":
                self.notify("Stopping \u2026")
                in_thread(self, partial(stop_runs, runs), lambda _: self.exit(0))
            elif value:
                self.exit(0)

        self.push_screen(LeaveQuestion(runs, work), answered)

    def action_quit_anywhere(self) -> None:
        """Copy what is selected; else leave as q does, but not from a box with a typed text."""
        focused, screen = self.screen.focused, self.screen
        selected = getattr(focused, "selected_text", "") or screen.get_selected_text()
        typed = [one for one in self.screen_stack if isinstance(one, TypedScreen) and one.is_changed]
        if selected:
            self._copy(selected)
        elif typed:
            typed[-1].warn()
            if isinstance(screen, ModalScreen) and screen is not typed[-1]:
                screen.dismiss(None)
        elif not isinstance(screen, LeaveQuestion):
            if isinstance(screen, ModalScreen):
                screen.dismiss(None)
            below = next(one for one in reversed(self.screen_stack) if not isinstance(one, ModalScreen))
            leave: Callable[[], None] = getattr(below, "action_leave", self.action_leave)
            self.call_later(leave)

    def action_suspend(self) -> None:
        """Give the terminal back to the shell; a worker goes on meanwhile."""
        if not hasattr(os, "getsid") or os.getpgrp() == os.getsid(0):
            # Nothing would wake it up again: on Windows, without a shell, or without one's job control.
            self.notify("There is no shell to go back to.", timeout=2)
        else:
            self.action_suspend_process()

    async def action_quit(self) -> None:
        """Leave as q does: the palette and a terminal that closes know no other name."""
        self.action_quit_anywhere()

    def _folders(self) -> Iterator[Path]:
        """Yield the projects that are looked at on one of the screens."""
        for screen in self.screen_stack:
            if isinstance(screen, StartScreen):
                yield screen.folder
            session: RunSession | None = getattr(screen, "session", None)
            if session is not None:
                yield session.project


def _last_words(error: Exception) -> str:
    """Write the traceback of an error that should not happen to a file, and return what to tell a person."""
    text = f"Unexpected error: {type(error).__name__}: {error}"
    file = user_state_path("promptgrad", appauthor=False) / "last-error.txt"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        text += f"\nPlease report it with {file}."
    return f"{text}\nIf a run was in progress, it continues."


def open_app(
    folder: Path,
    run: str | None = None,
    *,
    worker: subprocess.Popen[bytes] | None = None,
    debug: bool = False,
    answers_to_grade: int = 0,
) -> int:
    """Open the app on a run (an id, a part of one, or "last") or on the start page; return the exit code.

    `worker` is the run's process where it has just been started, so that the app can tell if it dies;
    `debug` shows a traceback where something goes wrong that should not. With `answers_to_grade`, it opens on
    the screen where a person grades as many answers for the judge.
    """
    paste.install()
    app = PromptGradApp(
        folder, run, worker=worker, keymap=read_keymap(), debug=debug, answers_to_grade=answers_to_grade
    )
    result = app.run()
    Terminal.stdout().lines(parting_words(app.folder))
    return result if result is not None else app.return_code or 0

"""Leaving the app: what continues without it, and what a person is asked before."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.ground.errors import JournalError
from engine.project import PROJECT_FILE
from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.sanitize import one_line

if TYPE_CHECKING:
    from engine.journal.journal import RunRecord


@dataclass(frozen=True)
class UnderWay:
    """A run that a process works on, and the folder of its project."""

    run: str
    project: Path


def runs_under_way(folders: Iterable[Path]) -> list[UnderWay]:
    """Return the runs of some projects that processes work on; a journal that can't be read has none."""
    from promptgrad_tui.screens.live.project_runs import read_runs

    found = []
    for folder in dict.fromkeys(folders):
        with suppress(JournalError):
            found += [UnderWay(run.id, folder) for run in read_runs(folder) if run.status == "running"]
    return found


def stop_runs(runs: Iterable[UnderWay]) -> None:
    """Ask the processes of some runs to stop; this waits where another program holds a journal.

    Raises:
        JournalError: a journal can't be written.
    """
    from engine.journal.journal import Journal, journal_path

    for under_way in runs:
        with Journal.open(journal_path(under_way.project)) as journal:
            journal.send_command(under_way.run, "stop")


def parting_words(folder: Path) -> list[str]:
    """Return where a person was, and what may come next, as lines for the terminal that is left."""
    from promptgrad_tui.screens.live.project_runs import read_runs

    runs: list[RunRecord] = []
    with suppress(JournalError):
        runs = read_runs(folder)
    if not (folder / PROJECT_FILE).is_file():
        return []
    here = shlex.quote(str(folder))
    where = [
        f"{one_line(folder.name)}: {count_text(len(runs), 'run')}. To open it again: promptgrad -C {here}"
    ]
    if not runs:
        return [*where, f"Next: promptgrad run {here}"]
    last = runs[-1]
    if last.status == "running":
        return [f"Run {last.id} continues.", *where]
    if not last.is_done:
        return [*where, f"Next: promptgrad -C {here} resume {last.id}"]
    state = f"Run {last.id}: {last.status.replace('_', ' ')}, {count_text(last.n_rules or 0, 'rule')}."
    return [
        *where,
        f"{state} Next: v on the run reviews them, or promptgrad -C {here} show last",
    ]


class LeaveQuestion(QuestionScreen):
    """Asks whether to leave while work is in progress."""

    def __init__(self, runs: Collection[UnderWay], work: str) -> None:
        text = f"{work}\n\n" if work else ""
        choices = [Choice("g", "Leave, and end it", "go")]
        if runs:
            several = len(runs) > 1
            continues = "runs continue" if several else "run continues"
            where = "in their own processes" if several else "in its own process"
            folders = dict.fromkeys(one_line(str(run.project)) for run in runs)
            them = "them" if several else "it"
            text += f"The {continues} {where}. To look at {them} again, type promptgrad in its folder:\n"
            text += "\n".join(folders)
            choices = [
                Choice("g", f"Leave; the {continues}", "go"),
                Choice("s", f"Leave, and stop the {'runs' if several else 'run'}", "stop"),
            ]
        super().__init__("Leave?", text.rstrip(), choices)

"""The process that carries a run out: started apart from the screen, so that it outlives it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.ground.errors import PromptGradError
from engine.journal.journal import Journal, journal_path

_LAST_LINES = 12
_STARTED = "----- started "
"""What the log's line begins with that stands before all that a worker prints."""

_TRACEBACK = "Traceback (most recent call last)"
_BETWEEN_TRACEBACKS = ("During handling of the above", "The above exception was")


def start_worker(project: Path, run: str, *options: str) -> subprocess.Popen[bytes]:
    """Start the worker of a run in a session of its own; what it prints goes to the run's log.

    It obeys every command that is sent from now on, also while it is still starting.

    Raises:
        PromptGradError: the process can't be started, or the journal or its log can't be used.
    """
    log = worker_log(project, run)
    with Journal.open(journal_path(project), read_only=True) as journal:
        options = (*options, "--heard", str(journal.last_command(run)))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"{_STARTED}{time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            output.flush()
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module, arguments as a list
                [sys.executable, "-P", "-m", "promptgrad_tui.worker", str(project), run, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise PromptGradError(
            f"The worker can't be started: {error}.", hint=f"Check that {log.parent} is writable."
        ) from error


def worker_log(project: Path, run: str) -> Path:
    """Return where a run's worker writes what it prints."""
    return journal_path(project).parent / "logs" / f"{run}.worker.log"


def last_words(project: Path, run: str) -> str:
    """Return the last lines that a run's latest worker printed; of a traceback only what it ends with."""
    log = worker_log(project, run)
    try:
        rows = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    latest = _of_latest(rows)
    words = _without_tracebacks(latest)
    if len(words) < len(latest):
        words.append(f"See {log} for all of it.")
    return "\n".join(words[-_LAST_LINES:])


def _of_latest(rows: Sequence[str]) -> Sequence[str]:
    starts = [number for number, row in enumerate(rows, 1) if row.startswith(_STARTED)]
    return rows[starts[-1] :] if starts else rows


def _without_tracebacks(rows: Iterable[str]) -> list[str]:
    kept: list[str] = []
    is_inside = False
    for row in rows:
        is_inside = row.startswith(_TRACEBACK) or (is_inside and (not row or row[0].isspace()))
        if not is_inside and not row.startswith(_BETWEEN_TRACEBACKS):
            kept.append(row)
    return kept

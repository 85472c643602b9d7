"""What a person says of a run, its name and a note, and deleting a run. Needs no dspy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine.ground.errors import PromptGradError
from engine.journal.file import open_for_writing, readable_errors
from engine.journal.journal import Journal

_KEPT = ("run_started", "test_opened", "test")
"""Kinds of events that outlive a run: they say how often a test split was opened, and how it was made."""


def label_run(journal: Path, run: str, *, name: str | None = None, note: str | None = None) -> None:
    """Give a run a name or a note; None leaves what there is, and an empty text takes it away.

    Raises:
        PromptGradError: another run has that name.
        JournalError: the journal can't be written.
    """
    with _writing(journal) as connection:
        if name and (taken := _named(connection, name, besides=run)):
            raise PromptGradError(f"Run {taken} is called {name!r} already.", hint="Choose another name.")
        connection.execute("INSERT INTO labels VALUES(?, '', '') ON CONFLICT DO NOTHING", (run,))
        for column, value in (("name", name), ("note", note)):
            if value is not None:
                connection.execute(f"UPDATE labels SET {column} = ? WHERE run = ?", (value.strip(), run))  # noqa: S608


def delete_run(journal: Journal, run: str) -> None:
    """Delete a run: its events, decisions, logs and drafts.

    Its answers stay known to other runs, and the test splits that it opened stay counted.

    Raises:
        RunLockedError: a process works on it.
        JournalError: the journal can't be written.
    """
    folder = journal.path.parent
    with journal.lock_run(run):
        with _writing(journal.path) as connection:
            kept = ", ".join("?" for _ in _KEPT)
            connection.execute(f"DELETE FROM events WHERE run = ? AND kind NOT IN ({kept})", (run, *_KEPT))  # noqa: S608
            for table in ("commands", "decisions", "labels"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608
            connection.execute("DELETE FROM runs WHERE id = ?", (run,))
        for place in ("logs", "reviews", "live"):
            for file in folder.joinpath(place).glob(f"{run}.*"):
                with suppress(OSError):
                    file.unlink()


def _named(connection: sqlite3.Connection, name: str, *, besides: str) -> str:
    row = connection.execute(
        "SELECT run FROM labels WHERE name = ? AND run <> ?", (name.strip(), besides)
    ).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _writing(journal: Path) -> Iterator[sqlite3.Connection]:
    """Open the journal for one change that is made as a whole."""
    with readable_errors(journal), closing(open_for_writing(journal)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

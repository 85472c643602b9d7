"""The journal's SQLite file: opening it, its schema, and what its errors mean to a person."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine.ground.errors import JournalError, NoRunError

SCHEMA_VERSION = 1
APPLICATION_ID = (
    0x50475544  # "PGUD": SQLite keeps it in the header, so that we never write to another program's file
)
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE runs(
    id TEXT PRIMARY KEY, project TEXT NOT NULL, created REAL NOT NULL, options TEXT NOT NULL
);
CREATE TABLE events(
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    time REAL NOT NULL, json TEXT NOT NULL, UNIQUE(run, id)
);
CREATE INDEX events_in_order ON events(run, seq);
CREATE TABLE completions(
    key TEXT PRIMARY KEY, run TEXT NOT NULL, time REAL NOT NULL,
    request TEXT NOT NULL, response TEXT NOT NULL,
    seconds REAL NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL, reused INTEGER NOT NULL
);
CREATE INDEX completions_of_run ON completions(run);
CREATE TABLE commands(
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, name TEXT NOT NULL, time REAL NOT NULL, payload TEXT NOT NULL
);
CREATE TABLE decisions(
    run TEXT NOT NULL, key TEXT NOT NULL, time REAL NOT NULL, decision TEXT NOT NULL, PRIMARY KEY(run, key)
);
"""

# Runs are listed, and openings of a test split counted, among all the rollouts of a project.
_BY_KIND = "CREATE INDEX IF NOT EXISTS events_by_kind ON events(kind, run, seq)"

# Made in journals of earlier versions too, the first time that they are written.
_LABELS = "CREATE TABLE IF NOT EXISTS labels(run TEXT PRIMARY KEY, name TEXT NOT NULL, note TEXT NOT NULL)"

_DISK_FULL = "Free some space, then resume the run: what was written before is safe."
_NO_ACCESS = "Make the folder writable for this user, or move the project to one that is."
_MOVE = "Move that file away: a project keeps what it has done in a folder of that name."
_BUSY = "Close the program that holds it (a database browser, a backup), then resume the run."
_DISK = "Check the disk's health and quotas; what was written before is safe."
_DAMAGED = (
    "Move the file away to start over; `sqlite3 FILE .recover` can save what is left of it. "
    "Don't copy or synchronise a journal while a run writes to it."
)

_MEANINGS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", _DISK_FULL),
    sqlite3.SQLITE_READONLY: ("the file or its folder is read-only", _NO_ACCESS),
    sqlite3.SQLITE_CANTOPEN: ("the file can't be opened", _NO_ACCESS),
    sqlite3.SQLITE_PERM: ("access is denied", _NO_ACCESS),
    sqlite3.SQLITE_BUSY: ("another program holds it", _BUSY),
    sqlite3.SQLITE_LOCKED: ("another program holds it", _BUSY),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", _DISK),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", _DAMAGED),
    sqlite3.SQLITE_NOTADB: ("the file isn't a journal, or is damaged", _DAMAGED),
}


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `JournalError`s that name the file and say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        what, hint = _MEANINGS.get(code & 0xFF, (str(error), "This should not happen; please report it."))
        raise JournalError(f"{path}: {what}.", hint=hint) from error
    except OSError as error:
        if path.parent.exists() and not path.parent.is_dir():
            raise JournalError(
                f"{path.parent} isn't a folder: the journal can't be kept in it.", hint=_MOVE
            ) from error
        raise JournalError(f"{path}: {error.strerror or error}.", hint=_NO_ACCESS) from error


def open_for_writing(path: Path, busy_seconds: float | None = None) -> sqlite3.Connection:
    """Open the journal; create it if there is none.

    With WAL and `synchronous=NORMAL` a committed transaction survives the death of the process at any
    moment, `kill -9` included; a power failure can cost the last few transactions, never the file.

    Raises:
        JournalError: the file can't be written, is damaged, or was made by a later version.
    """
    with readable_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        connection = _connect(path.absolute().as_uri(), busy_seconds)
        try:
            _check(connection, path)
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path, busy_seconds: float | None = None) -> sqlite3.Connection:
    """Open an existing journal without writing to it; this works in a read-only folder too.

    Raises:
        JournalError: there is no journal, it is damaged, or was made by a later version.
    """
    with readable_errors(path):
        if not path.is_file() or path.stat().st_size == 0:
            raise NoRunError(
                f"{path}: there is no journal here.",
                hint="A project gets one with its first run; `promptgrad -C DIR` works in another project.",
            )
        connection = _connect(f"{path.absolute().as_uri()}?{_reading_mode(path)}", busy_seconds)
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _reading_mode(path: Path) -> str:
    # SQLite has nowhere to put the WAL's index in a folder that it can't write to. If no WAL was left behind,
    # the file is complete and nobody can change it: it may be read as immutable.
    has_wal = Path(f"{path}-wal").exists()
    return "mode=ro" if has_wal or os.access(path.parent, os.W_OK) else "immutable=1"


def _connect(uri: str, busy_seconds: float | None = None) -> sqlite3.Connection:
    timeout = BUSY_SECONDS if busy_seconds is None else busy_seconds
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != APPLICATION_ID and not empty:
        raise JournalError(
            f"{path}: this SQLite file belongs to another program.",
            hint="Move it away or choose another folder.",
        )
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path}: a later version of PromptGrad wrote this journal (format {version}; this one knows "
            f"{SCHEMA_VERSION}).",
            hint="Upgrade: pip install --upgrade promptgrad-tui",
        )


def _make(path: Path) -> None:
    """Create the journal in one step: a reader must never see one without tables."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with closing(_connect(draft.as_uri())) as connection:
            _prepare(connection)
        # Another process may have been faster, or the file system may not support links; whoever opens
        # the file next deals with both.
        with suppress(OSError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(_BY_KIND)
        connection.execute(_LABELS)
        # SQLite opens a read-only file without complaint: only a write reveals it.
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

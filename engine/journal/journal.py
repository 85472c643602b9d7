"""The journal: everything that happened in a project's runs, in one SQLite file.

A worker writes it and any number of other processes read it at the same time. It is also the only
channel between them: a screen sends commands and decisions through it. This module needs no dspy.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from engine.ground.closing import Closing
from engine.ground.errors import JournalError, NoRunError
from engine.journal import lock as run_lock
from engine.journal.completions import Completion
from engine.journal.event_base import BaseEvent, Tokens
from engine.journal.event_parts import ENDED, RunSummary, SplitScores
from engine.journal.events import NOT_BEGUN, Event, ReviewApplied, RunFinished, event_adapter
from engine.journal.file import open_for_reading, open_for_writing, readable_errors

EventType = TypeVar("EventType", bound=BaseEvent)

_FOLDERS = ("artifact", "withheld")
"""The fields of a summary that are folders in the project."""


def journal_path(project: Path) -> Path:
    """Return the path of a project's journal."""
    return project / ".promptgrad" / "journal.sqlite"


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked for, and its current state.

    `options` is what the run was started with; a resume needs it again. `status` is the summary's status,
    "running" while a process works on the run, or "interrupted". `review` is the last review applied after
    the run; `name` and `note` are a person's. Times are in Unix seconds.
    """

    id: str
    project: str
    created: float
    options: dict[str, Any]
    status: str = "interrupted"
    last_event: float | None = None
    summary: RunSummary | None = None
    review: ReviewApplied | None = None
    name: str = ""
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the run reached its own end, so that there is nothing to resume."""
        return self.status in ENDED

    @property
    def optimized(self) -> SplitScores:
        """The scores of the result, as the last review left it."""
        if self.review is not None:
            return SplitScores(validation=self.review.validation, test=self.review.test)
        return self.summary.optimized if self.summary is not None else SplitScores()

    @property
    def n_rules(self) -> int | None:
        """How many rules the result has, as the last review left it; None while there is none."""
        if self.review is not None:
            return len(self.review.rules)
        return len(self.summary.rules) if self.summary is not None else None


@dataclass(frozen=True)
class Command:
    """What a person asked a running run to do: `name` is "pause", "continue" or "stop"."""

    seq: int
    name: str
    time: float


class Journal(Closing):
    """A project's journal; safe to use from many threads, and from many processes at once.

    Every method may raise `JournalError`, which names the file and says what to do. What was written before
    stays readable.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._holders: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path | str, *, read_only: bool = False, busy_seconds: float | None = None) -> Self:
        """Open the journal at `path`; unless `read_only`, create it if there is none.

        If another program holds the file, every call waits for `busy_seconds` (None: ten) before it fails.
        """
        absolute = Path(path).absolute()
        return cls(absolute, (open_for_reading if read_only else open_for_writing)(absolute, busy_seconds))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def create_run(self, project: Path | str, options: Mapping[str, Any] | None = None) -> RunRecord:
        """Record the start of a new run and return it; its id sorts by time (UTC)."""
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        # Two runs may start within a second: the random digits tell them apart, and a clash is tried again.
        while True:
            record = RunRecord(f"{stamp}-{secrets.token_hex(2)}", str(project), now, dict(options or {}))
            row = (record.id, record.project, record.created, json.dumps(record.options))
            if self._write("INSERT INTO runs VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING", row):
                return record

    def runs(self) -> list[RunRecord]:
        """Return all runs, the oldest first."""
        # One query however many runs there are: the run list is read again and again while it is on screen.
        # '0' follows '/' in ASCII, so the range holds exactly the ids that begin with "review/".
        rows = self._read(
            "SELECT r.id, r.project, r.created, r.options, e.kind, l.time, e.json, v.json FROM runs r"
            " LEFT JOIN events l ON l.seq = (SELECT max(seq) FROM events WHERE run = r.id)"
            " LEFT JOIN events e ON e.seq = (SELECT max(seq) FROM events WHERE run = r.id"
            " AND kind IN ('run_started', 'run_resumed', 'run_finished'))"
            " LEFT JOIN events v ON v.seq = (SELECT max(seq) FROM events WHERE run = r.id"
            " AND id BETWEEN 'review/' AND 'review0' AND kind = 'review_applied')"
            " ORDER BY r.created, r.id"
        )
        labels = self._labels()
        found = [self._record(row) for row in rows]
        return [replace(one, name=labels[one.id][0], note=labels[one.id][1]) for one in found]

    def _labels(self) -> Mapping[str, tuple[str, str]]:
        # A journal of an earlier version that was never written since has no such table.
        has_labels = self._read("SELECT 1 FROM sqlite_master WHERE name = 'labels'")
        rows = self._read("SELECT run, name, note FROM labels") if has_labels else []
        return defaultdict(lambda: ("", ""), {run: (name, note) for run, name, note in rows})

    def run(self, run: str) -> RunRecord:
        """Return one run by its id, its name, a unique part of its id, or the newest one for "last"."""
        runs = self.runs()
        if run == "last":
            matches = runs[-1:]
        else:
            matches = [record for record in runs if run and run in (record.id, record.name)] or [
                r for r in runs if run and run in r.id
            ]
        if len(matches) == 1:
            return matches[0]
        known = ", ".join(record.id for record in (matches or runs)[-5:]) or "none"
        if matches:
            raise NoRunError(f"{run!r} could mean {len(matches)} runs.", hint=f"Type more of it: {known}")
        raise NoRunError(f"{self.path}: there is no run {run!r}.", hint=f"The latest runs: {known}")

    def _record(self, row: tuple[Any, ...]) -> RunRecord:
        run, project, created, options, kind, last_event, text, review = row
        summary = None
        if kind == "run_finished":
            finished = self._event(text)
            summary = finished.summary if isinstance(finished, RunFinished) else None
        status: str = summary.status if summary else "interrupted"
        if self.is_running(run):
            status = "running"
        applied = self._event(review) if review else None
        reviewed = applied if isinstance(applied, ReviewApplied) else None
        place = self._place_of(project)
        if summary and place != project:
            saved = {name: _relocated(getattr(summary, name), Path(place)) for name in _FOLDERS}
            summary = summary.model_copy(update=saved)
        if reviewed and place != project:
            reviewed = reviewed.model_copy(update={"artifact": _relocated(reviewed.artifact, Path(place))})
        return RunRecord(run, place, created, json.loads(options), status, last_event, summary, reviewed)

    def _place_of(self, project: str) -> str:
        """Return the project's current folder, the one that holds the journal: both may have been moved."""
        folder = self.path.parent.parent
        if self.path != journal_path(folder) or folder.resolve() == Path(project).resolve():
            return project
        return str(folder)

    def append(self, run: str, event: Event) -> bool:
        """Write an event; False if this run has an event of the same id already (a replay)."""
        return self._write(
            "INSERT INTO events(run, id, kind, time, json) VALUES(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (run, event.id, event.kind, event.time, _event_json(event)),
        )

    def events(
        self, run: str, after: int = 0, limit: int | None = None, kinds: Sequence[str] = ()
    ) -> list[tuple[int, Event]]:
        """Return a run's events in order, each with its number; only those with numbers above `after`.

        With `kinds`, only events of these kinds.
        """
        wanted = json.dumps(list(kinds)) if kinds else None
        rows = self._read(
            "SELECT seq, json FROM events WHERE run = ? AND seq > ?"
            " AND (? IS NULL OR kind IN (SELECT value FROM json_each(?))) ORDER BY seq LIMIT ?",
            (run, after, wanted, wanted, -1 if limit is None else limit),
        )
        return [(seq, self._event(text)) for seq, text in rows]

    def last_worked(self, run: str, before: int | None = None) -> float | None:
        """Return the time of a run's last event, or of the last one with a number below `before`.

        The end of an attempt that couldn't begin doesn't count: nothing was done before it.
        """
        row = self._read(
            "SELECT time FROM events WHERE run = ? AND (? IS NULL OR seq < ?) AND id NOT LIKE ? || '%'"
            " ORDER BY seq DESC LIMIT 1",
            (run, before, before, NOT_BEGUN),
        )
        return row[0][0] if row else None

    def events_of(self, run: str, of: type[EventType]) -> list[EventType]:
        """Return a run's events of one type, in order."""
        known = self.events(run, kinds=[_kind(of)])
        return [event for _, event in known if isinstance(event, of)]

    def event_of(self, run: str, of: type[EventType]) -> EventType | None:
        """Return a run's first event of one type, if it has one."""
        return next(iter(self.events_of(run, of)), None)

    def events_of_all_runs(self, of: type[EventType]) -> list[tuple[str, EventType]]:
        """Return the events of one type in all runs, in order, each with its run."""
        rows = self._read("SELECT run, json FROM events WHERE kind = ? ORDER BY seq", (_kind(of),))
        known = ((run, self._event(text)) for run, text in rows)
        return [(run, event) for run, event in known if isinstance(event, of)]

    def _event(self, text: str) -> Event:
        try:
            return event_adapter.validate_json(text)
        except ValidationError as error:
            raise JournalError(
                f"{self.path}: an event can't be read: {text[:80]}",
                hint="The file was changed by hand or by another version of PromptGrad.",
            ) from error

    def completion(self, key: str) -> Completion | None:
        """Return the completion of that key, if one was paid for."""
        rows = self._read(
            "SELECT key, run, time, request, response, seconds, prompt, completion, reused"
            " FROM completions WHERE key = ?",
            (key,),
        )
        if not rows:
            return None
        key, run, when, request, response, seconds, *tokens = rows[0]
        prompt, answer, reused = tokens
        paid = Tokens(prompt=prompt, completion=answer, reused=reused)
        return Completion(key, run, when, request, response, seconds, paid)

    def remember_completion(self, completion: Completion) -> bool:
        """Write a completion durably, before it is used; False if its key is already known."""
        tokens = completion.tokens
        return self._write(
            "INSERT INTO completions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                *(completion.key, completion.run, completion.time, completion.request, completion.response),
                *(completion.seconds, tokens.prompt, tokens.completion, tokens.reused),
            ),
        )

    def completions_paid(self, run: str) -> int:
        """Return how many completions a run has paid for, summed over all its processes."""
        count: int = self._read("SELECT count(*) FROM completions WHERE run = ?", (run,))[0][0]
        return count

    def tokens_paid(self, run: str) -> Tokens:
        """Return the tokens of the completions that a run has paid for."""
        sums = "SELECT total(prompt), total(completion), total(reused) FROM completions WHERE run = ?"
        return Tokens.model_validate(dict(zip(Tokens.model_fields, self._read(sums, (run,))[0], strict=True)))

    def send_command(self, run: str, name: str) -> None:
        """Ask a run's worker for something."""
        self._write(
            "INSERT INTO commands(run, name, time, payload) VALUES(?, ?, ?, '{}')", (run, name, time.time())
        )

    def commands(self, run: str, after: int = 0) -> list[Command]:
        """Return the commands sent to a run, in order; only those with numbers above `after`."""
        rows = self._read(
            "SELECT seq, name, time FROM commands WHERE run = ? AND seq > ? ORDER BY seq",
            (run, after),
        )
        return [Command(*row) for row in rows]

    def last_command(self, run: str) -> int:
        """Return the number of the last command sent to a run, or 0."""
        return max((command.seq for command in self.commands(run)), default=0)

    def decide(self, run: str, key: str, decision: Mapping[str, Any]) -> bool:
        """Write a person's decision; False if there is one already, which then stands."""
        return self._write(
            "INSERT INTO decisions VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (run, key, time.time(), json.dumps(dict(decision))),
        )

    def decision(self, run: str, key: str) -> dict[str, Any] | None:
        """Return a person's decision, or None if there is none yet."""
        rows = self._read("SELECT decision FROM decisions WHERE run = ? AND key = ?", (run, key))
        return dict(json.loads(rows[0][0])) if rows else None

    def decisions(self, run: str) -> dict[str, dict[str, Any]]:
        """Return all decisions of a run by their keys."""
        rows = self._read("SELECT key, decision FROM decisions WHERE run = ? ORDER BY time", (run,))
        return {key: json.loads(text) for key, text in rows}

    @contextmanager
    def lock_run(self, run: str) -> Iterator[None]:
        """Lock a run for this process while the context lasts; readers are never locked out.

        The thread that holds the lock may take it again.

        Raises:
            RunLockedError: another process works on it.
        """
        thread = threading.get_ident()
        if self._holders.get(run) == thread:
            yield
            return
        with run_lock.exclusive(self._lock_path(run), run):
            self._holders[run] = thread
            try:
                yield
            finally:
                del self._holders[run]

    def is_running(self, run: str) -> bool:
        """Whether a live process is working on the run."""
        return run_lock.is_held(self._lock_path(run))

    def _lock_path(self, run: str) -> Path:
        return self.path.parent / "locks" / f"{run}.lock"

    def _read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with readable_errors(self.path), self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def _write(self, sql: str, parameters: tuple[Any, ...]) -> bool:
        with readable_errors(self.path), self._lock:
            return self._connection.execute(sql, parameters).rowcount > 0


def _kind(of: type[BaseEvent]) -> str:
    return str(of.model_fields["kind"].default)


def _event_json(event: Event) -> str:
    # Predictions hold whatever a program returns: its own objects, and half a surrogate pair where a model
    # wrote "\\ud83d" and stopped.
    try:
        return event.model_dump_json(fallback=str)
    except PydanticSerializationError:
        text = json.dumps(event.model_dump(), default=str, ensure_ascii=False)
        return text.encode("utf-8", "replace").decode()


def _relocated(path: str | None, project: Path) -> str | None:
    """Return where a folder lies now, in a project that may have been moved since its journal was written."""
    if path is None or Path(path).is_relative_to(project):
        return path
    parts = Path(path).parts
    tails = (project.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((str(tail) for tail in tails if tail.is_dir()), path)

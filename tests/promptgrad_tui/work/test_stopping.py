"""A signal's way to a run, while another program holds the journal."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.work.run.stopping import forwarding_stops
from tests.patience import PATIENCE_SECONDS


def test_a_stop_arrives_once_the_journal_can_be_written_again(tmp_path: Path) -> None:
    requested = threading.Event()
    with Journal.open(journal_path(tmp_path), busy_seconds=0.05) as journal:
        run = journal.create_run(tmp_path).id
        with forwarding_stops(requested, journal, run):
            with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                requested.set()
                time.sleep(0.5)
                assert journal.commands(run) == []
                other.execute("ROLLBACK")
            until = time.monotonic() + PATIENCE_SECONDS
            while not journal.commands(run) and time.monotonic() < until:
                time.sleep(0.02)
        assert {command.name for command in journal.commands(run)} == {"stop"}


def test_nothing_is_sent_without_a_signal(tmp_path: Path) -> None:
    with Journal.open(journal_path(tmp_path)) as journal:
        run = journal.create_run(tmp_path).id
        with forwarding_stops(threading.Event(), journal, run):
            time.sleep(0.3)
        assert journal.commands(run) == []

"""A person's commands reach a run, and a run that they can't reach any more ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import JournalError, RunStoppedError
from engine.journal.control import RunControl
from engine.journal.journal import Command, Journal

RUN = "20261130-120000-0000"


def control(journal: Journal) -> RunControl:
    return RunControl(
        journal,
        RUN,
        after_command=None,
        max_minutes=None,
        on_stop=lambda: None,
        on_pause=lambda is_paused: None,
    )


def wait_for_the_end(running: RunControl) -> None:
    while True:
        running.checkpoint()


def test_a_stop_ends_a_paused_run(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite") as journal, control(journal) as running:
        running.checkpoint()
        journal.send_command(RUN, "pause")
        journal.send_command(RUN, "stop")
        with pytest.raises(RunStoppedError):
            wait_for_the_end(running)


def test_a_paused_run_ends_when_its_commands_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(run: str, after: int = 0) -> list[Command]:
        raise JournalError("The journal is locked by another program.", hint="Close it.")

    with Journal.open(tmp_path / "journal.sqlite") as journal, control(journal) as running:
        running._obey("pause")
        monkeypatch.setattr(journal, "commands", locked)
        with pytest.raises(JournalError, match="locked by another program"):
            running.checkpoint()

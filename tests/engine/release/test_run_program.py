"""The program of a run: whose answers are measured, and what its base instructions are."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import ProjectError
from engine.journal.events import RunFinished, RunStarted
from engine.journal.journal import Journal, journal_path
from engine.release.run import execute
from tests.engine.desk import desk_model
from tests.engine.release.test_run import events, plan


def test_a_program_that_asks_an_lm_of_its_own_is_refused(tmp_path: Path) -> None:
    own = desk_model()
    with Journal.open(journal_path(tmp_path)) as journal:
        wanted = plan(tmp_path, journal)
        wanted.program.set_lm(own.lm)
        with pytest.raises(ProjectError, match="'self' has an LM of its own"):
            execute(wanted, journal)
        (finished,) = events(journal, wanted.run, RunFinished)
    assert finished.summary.status == "error"
    assert own.requests == []


def test_the_base_instructions_of_a_run_are_those_that_were_given(tmp_path: Path) -> None:
    with Journal.open(journal_path(tmp_path)) as journal:
        wanted = plan(tmp_path, journal, config={"epochs": 1, "base_prompt_source": "Send it somewhere."})
        execute(wanted, journal)
        (started,) = events(journal, wanted.run, RunStarted)
    assert started.base_instructions == {"self": "Send it somewhere."}

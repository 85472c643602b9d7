"""A run whose search has a model of its own: which model is asked what, and what is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.ground.errors import ProjectError
from engine.ground.model import RunModels
from engine.journal.events import Notice, RolloutFinished, RunStarted
from engine.journal.journal import Journal, journal_path
from engine.release.run import execute
from engine.testing import scripted_model
from tests.engine.desk import Desk
from tests.engine.release.test_run import events, plan


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def models(searched: Desk) -> RunModels:
    task, search = scripted_model(Desk().answer, name="served"), scripted_model(searched.answer, name="here")
    return RunModels(task, search, search=search)


def test_candidates_are_tried_on_one_model_and_scored_on_the_other(tmp_path, journal):
    both = models(Desk())
    wanted = plan(tmp_path, journal, config={"epochs": 1})
    wanted = replace(wanted, models=both)
    summary = execute(wanted, journal)
    assert summary.status == "improved"
    assert summary.model.revision == both.task.revision.digest
    begun = events(journal, wanted.run, RunStarted)[0]
    assert begun.search is not None
    assert begun.search.revision == both.search.revision.digest
    rollouts = events(journal, wanted.run, RolloutFinished)
    searched = {split: sum(r.searched for r in rollouts if r.split == split) for split in ("train", "test")}
    assert searched["test"] == 0
    assert searched["train"] > 12
    assert sum(not r.searched for r in rollouts if r.split == "train") == 12, "those that were compared"
    assert len(both.task.requests) == sum(not r.searched for r in rollouts)
    [told] = [n.text for n in events(journal, wanted.run, Notice) if n.id == "search"]
    assert "12 of 12 answers are the same" in told
    assert summary.calls == len(both.task.requests) + len(both.search.requests)


def test_a_model_that_answers_otherwise_may_not_search(tmp_path, journal):
    class Other(Desk):
        def _queue(self, system, user):
            return '{"queue": "harbour"}'

    wanted = plan(tmp_path, journal)
    wanted = replace(wanted, models=models(Other()))
    with pytest.raises(ProjectError, match="Too few answers in process"):
        execute(wanted, journal)

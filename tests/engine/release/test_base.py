"""Another optimizer makes the base of a run, and rules are learned on top of it."""

from __future__ import annotations

import pytest

from engine.ground.errors import BudgetTooSmallError, ConfigError
from engine.journal.events import PhaseStarted, ProgressEstimated
from engine.journal.journal import Journal, journal_path
from engine.journal.method_events import MethodFinished
from engine.project.settings import BaseSection
from engine.release.artifacts import load_artifact
from engine.release.manifest import load_manifest
from engine.release.run import execute
from engine.testing import scripted_model
from tests.engine.desk import BASE, POLICY, Desk, desk_model, desk_program, learned
from tests.engine.release.test_run import events, plan


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def advised_model():
    """The desk, which writes an instruction with one rule where it is asked for an instruction."""
    desk = Desk()

    def answer(messages):
        asks_for_instruction = "[[ ## " not in messages[-1]["content"]
        rule = "Tickets that mention a voucher go to loyalty."
        return f"Send it to a queue. {rule}" if asks_for_instruction else desk.answer(messages)

    return scripted_model(answer)


def test_rules_are_learned_on_top_of_the_demonstrations_of_another_optimizer(tmp_path, journal):
    wanted = plan(tmp_path, journal, base=BaseSection(optimizer="labeled_few_shot"))
    summary = execute(wanted, journal)
    assert summary.status == "improved"
    (made,) = events(journal, wanted.run, MethodFinished)
    assert made.demonstrations == {"self": 12}
    loaded = load_artifact(summary.artifact, desk_program(), wanted.models.task.revision)
    assert len(loaded.demos) == 12
    assert learned(loaded.signature.instructions) == set(POLICY)


def test_the_base_that_another_optimizer_wrote_is_frozen(tmp_path, journal):
    model = advised_model()
    wanted = plan(tmp_path, journal, model=model, base=BaseSection(optimizer="ape", calls=130))
    summary = execute(wanted, journal)
    (made,) = events(journal, wanted.run, MethodFinished)
    assert made.calls <= 130
    assert "voucher" in made.instructions["self"]
    manifest = load_manifest(summary.artifact)
    assert manifest.base_instructions == made.instructions
    assert manifest.instructions["self"].startswith(made.instructions["self"])


def test_a_budget_that_pays_for_no_candidate_is_refused_before_anything_is_spent(tmp_path, journal):
    model = desk_model()
    with pytest.raises(ConfigError, match="at least"):
        execute(plan(tmp_path, journal, model=model, base=BaseSection(optimizer="opro", calls=20)), journal)
    assert model.requests == []


def test_a_budget_that_the_base_could_use_up_is_refused_before_anything_is_spent(tmp_path, journal):
    model = desk_model()
    wanted = plan(tmp_path, journal, model=model, base=BaseSection(optimizer="ape", calls=130), max_calls=400)
    with pytest.raises(BudgetTooSmallError, match="ape may use 130, comparing its base takes 120"):
        execute(wanted, journal)
    assert model.requests == []


def test_a_base_that_asks_nothing_is_no_reason_to_refuse(tmp_path, journal):
    base = BaseSection(optimizer="labeled_few_shot", calls=300)
    summary = execute(plan(tmp_path, journal, base=base, max_calls=400), journal)
    assert summary.base is not None
    assert summary.calls <= 400


def test_the_calls_of_the_base_are_a_part_of_the_runs_progress(tmp_path, journal):
    base = BaseSection(optimizer="ape", calls=130)
    wanted = plan(tmp_path, journal, model=advised_model(), base=base)
    execute(wanted, journal)
    phases = [event.phase for event in events(journal, wanted.run, PhaseStarted)]
    assert phases[:2] == ["base", "baseline"]
    (made,) = events(journal, wanted.run, MethodFinished)
    progress = events(journal, wanted.run, ProgressEstimated)
    of_base = [event for event in progress if event.id.startswith("base/")]
    assert {event.done for event in of_base} == set(range(10, made.calls + 1, 10))
    assert all(event.expected > 130 + 2 * 60 for event in of_base)
    assert progress[len(of_base)].done == made.calls + 2 * 60


def test_without_an_optimizer_the_base_is_the_programs_own(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    assert events(journal, wanted.run, MethodFinished) == []
    assert desk_program().signature.instructions == BASE

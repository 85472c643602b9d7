"""Another optimizer makes the base of a run, and rules are learned on top of it."""

from __future__ import annotations

import pytest

from engine.ground.errors import ConfigError
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
    desk = Desk()

    def answer(messages):
        asks_for_instruction = "[[ ## " not in messages[-1]["content"]
        rule = "Tickets that mention a voucher go to loyalty."
        return f"Send it to a queue. {rule}" if asks_for_instruction else desk.answer(messages)

    model = scripted_model(answer)
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


def test_without_an_optimizer_the_base_is_the_programs_own(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    assert events(journal, wanted.run, MethodFinished) == []
    assert desk_program().signature.instructions == BASE

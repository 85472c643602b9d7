import threading
import time

import pytest

from engine.ground.errors import JournalError
from engine.ground.interval import Evidence
from engine.journal.decisions import Decision, decision_key
from engine.journal.events import (
    ConsensusReached,
    Notice,
    ReviewAwaited,
    RulesChanged,
    ValidationFinished,
    ValidationStarted,
)
from engine.journal.journal import Journal, journal_path
from engine.learning import rule_tests
from engine.learning.place import Place
from engine.learning.review import Decisions, Reviewer
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule
from engine.programs.state import LearnedState
from engine.release.artifacts import load_manifest
from engine.release.run import apply_review, execute
from tests.engine.desk import POLICY
from tests.engine.release.test_run import events, plan
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def decide(journal, run, rule_id, number, **decision):
    assert journal.decide(run, decision_key(rule_id, number), Decision(**decision).model_dump())


def run_with_reviewer(tmp_path, journal, answer):
    """A run whose every question is answered by `answer(rule)` from another thread."""
    wanted = plan(tmp_path, journal, review="during")
    over = threading.Event()

    def person():
        answered = set()
        while not over.wait(0.02):
            asked = {rule for event in events(journal, wanted.run, ReviewAwaited) for rule in event.rules}
            tests = {e.rule.id: e.rule for e in events(journal, wanted.run, ValidationFinished)}
            for rule_id in asked - answered:
                answered.add(rule_id)
                decide(journal, wanted.run, rule_id, 0, **answer(tests[rule_id]))

    thread = threading.Thread(target=person)
    thread.start()
    try:
        return wanted, execute(wanted, journal)
    finally:
        over.set()
        thread.join()


def test_a_dropped_rule_is_neither_applied_nor_tested_again_and_a_note_travels(tmp_path, journal):
    def answer(rule):
        if rule.trigger == "drone":
            return {"choice": "drop"}
        return {"choice": "keep", "note": f"seen: {rule.trigger}"}

    wanted, summary = run_with_reviewer(tmp_path, journal, answer)
    assert {rule.trigger for rule in summary.rules} == set(POLICY) - {"drone"}
    proposed = [p.trigger for e in events(journal, wanted.run, ConsensusReached) for p in e.kept]
    tested = [e.rule.trigger for e in events(journal, wanted.run, ValidationStarted)]
    assert proposed.count("drone") > 1
    assert tested.count("drone") == 1
    notes = {rule.note for rule in load_manifest(summary.artifact).rules}
    assert "seen: visa" in notes


def test_an_edit_is_tested_before_it_counts(tmp_path, journal):
    def answer(rule):
        if rule.trigger == "drone":
            return {"choice": "edit", "text": "Tickets that mention drone go to nowhere.", "trigger": "drone"}
        if rule.trigger == "visa":
            text = "Tickets that mention visa go to legal. Always."
            return {"choice": "edit", "text": text, "trigger": "visa"}
        return {"choice": "keep"}

    wanted, summary = run_with_reviewer(tmp_path, journal, answer)
    kept = {rule.text for rule in summary.rules}
    assert "Tickets that mention visa go to legal. Always." in kept
    assert not any("drone" in text for text in kept)
    assert any("edited rule doesn't count" in notice.text for notice in events(journal, wanted.run, Notice))


def test_the_run_waits_only_while_a_decision_is_missing(tmp_path, journal):
    wanted = plan(tmp_path, journal, review="during")
    thread = threading.Thread(target=execute, args=(wanted, journal))
    thread.start()
    while not events(journal, wanted.run, ReviewAwaited):
        time.sleep(0.02)
    time.sleep(0.3)
    calls = len(wanted.models.task.requests)
    time.sleep(0.5)
    assert len(wanted.models.task.requests) == calls
    assert events(journal, wanted.run, RulesChanged)[-1].reason != "reviewed"
    journal.send_command(wanted.run, "stop")
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_decisions_after_a_run_make_another_version(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = execute(wanted, journal)
    dropped = next(rule for rule in summary.rules if rule.trigger == "drone")
    decide(journal, wanted.run, dropped.id, 1, choice="drop")
    applied = apply_review(wanted, journal)
    assert {rule.trigger for rule in applied.rules} == set(POLICY) - {"drone"}
    assert applied.test.score < summary.optimized.test.score
    assert applied.artifact != summary.artifact
    assert len(load_manifest(applied.artifact).rules) == len(summary.rules) - 1


def test_a_second_review_starts_where_the_first_ended(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = execute(wanted, journal)
    first, second = summary.rules[0], summary.rules[1]
    decide(journal, wanted.run, first.id, 1, choice="drop")
    apply_review(wanted, journal)
    decide(journal, wanted.run, second.id, 2, choice="drop")
    applied = apply_review(wanted, journal)
    assert applied.number == 2
    assert not {first.id, second.id} & {rule.id for rule in applied.rules}
    assert len(applied.rules) == len(summary.rules) - 2


def test_a_merge_carries_what_its_parts_were_suggested_by_and_a_note_outlives_reviews(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = execute(wanted, journal)
    known = {rule.id: rule for e in events(journal, wanted.run, RulesChanged) for rule in e.rules}
    first, second, noted, dropped = [known[rule.id] for rule in summary.rules][:4]
    merged = (first.id, second.id)
    text = f"{first.text} {second.text}"
    decide(journal, wanted.run, first.id, 1, choice="edit", text=text, merged=merged)
    decide(journal, wanted.run, second.id, 1, choice="drop", merged=merged)
    decide(journal, wanted.run, noted.id, 1, choice="keep", note="seen")
    (made,) = [rule for rule in apply_review(wanted, journal).rules if rule.text == text]
    assert made.merged_from == merged
    assert set(made.suggested_by) == {*first.suggested_by, *second.suggested_by}
    test = next(e for e in events(journal, wanted.run, ValidationStarted) if e.rule.id == made.id)
    assert set(test.before) == {rule.id for rule in summary.rules} - set(merged)
    decide(journal, wanted.run, dropped.id, 2, choice="drop")
    notes = {rule.id: rule.note for rule in apply_review(wanted, journal).rules}
    assert notes[noted.id] == "seen"


def test_rules_that_were_never_tested_can_be_dropped(tmp_path, journal):
    wanted = plan(tmp_path, journal, config={"epochs": 1, "validate_rules": False})
    summary = execute(wanted, journal)
    decide(journal, wanted.run, summary.rules[0].id, 1, choice="drop")
    applied = apply_review(wanted, journal)
    assert [rule.id for rule in applied.rules] == [rule.id for rule in summary.rules[1:]]
    assert applied.rules[0].batch == summary.rules[1].batch


def test_nothing_decided_is_an_error(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    with pytest.raises(JournalError, match="Nothing was decided"):
        apply_review(wanted, journal)


def test_an_unfinished_run_has_nothing_to_review(tmp_path, journal):
    with pytest.raises(JournalError, match="isn't finished"):
        apply_review(plan(tmp_path, journal), journal)


def test_a_demonstration_is_kept_by_a_review_and_dropped_by_the_next(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    ((name, _),) = wanted.program.named_predictors()
    first, second = (
        Demonstration(inputs={"ticket": text}, outputs={"queue": "general"}, predictor=name)
        for text in ("A question.", "A remark.")
    )
    state = RulesChanged(
        id="shown",
        epoch=1,
        batch=1,
        reason="demonstrated",
        digest="d",
        demonstrations=(first, second),
        rules=(),
    )
    journal.append(wanted.run, state)
    decide(journal, wanted.run, first.id, 1, choice="keep", note="Clear.")
    applied = apply_review(wanted, journal)
    assert [(one.id, one.note) for one in applied.demonstrations] == [(first.id, "Clear.")]
    decide(journal, wanted.run, first.id, 2, choice="drop")
    decide(journal, wanted.run, second.id, 2, choice="keep")
    again = apply_review(wanted, journal)
    assert [one.id for one in again.demonstrations] == [second.id]
    assert again.rules == applied.rules


def test_a_batch_that_asks_twice_says_so_twice():
    emitted = []
    decisions = Decisions(lambda key: Decision(choice="keep").model_dump(), lambda: None)
    reviewer = Reviewer(decisions, None, emitted.append)
    state = LearnedState()
    for text in ("Pianos go to music.", "Kayaks go to sports."):
        rule = Rule(text=text)
        change = rule_tests.Change("add", rule, state, state.adding(rule), Place(1, 1))
        evidence = Evidence(delta=0.1, low=0.0, high=0.2, n=30)
        state = reviewer.settle(state, [rule_tests.Tested(change, "needs_review", "a gain", evidence)])
    assert [rule.text for rule in state.rules] == ["Pianos go to music.", "Kayaks go to sports."]
    assert [event.kind for event in emitted] == ["review_awaited", "rules"] * 2
    assert len({event.id for event in emitted}) == 4

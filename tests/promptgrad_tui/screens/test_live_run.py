from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from engine.journal.events import (
    Notice,
    RolloutFinished,
    RunFinished,
    RunPaused,
    RunResumed,
    ValidationFinished,
    ValidationStarted,
)
from engine.programs.rules import RuleSet
from promptgrad_tui.views.run.story import RunStory
from tests.promptgrad_tui.screens.recorded import RecordedRun


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def live_of(recorded: RecordedRun) -> RunStory:
    live = RunStory()
    live.apply_all(recorded.journal.events(recorded.run))
    return live


def test_a_whole_run_leaves_every_batch_scored_and_every_test_judged(recorded: RecordedRun) -> None:
    recorded.write()
    live = live_of(recorded)
    assert [batch.place for batch in live.batches.values()] == [(e, b) for e in (1, 2, 3) for b in (1, 2, 3)]
    assert all(batch.scored for batch in live.batches.values())
    assert {test.state for test in live.tests.values()} <= {"accepted", "rejected", "needs_review"}
    assert live.state(is_running=False) == "finished"


def test_events_in_two_portions_give_the_same_as_in_one(recorded: RecordedRun) -> None:
    recorded.write()
    events = recorded.journal.events(recorded.run)
    one, two = RunStory(), RunStory()
    one.apply_all(events)
    two.apply_all(events[:150])
    two.apply_all(events[150:])
    assert one.batches == two.batches
    assert one.tests == two.tests
    assert one.gradients == two.gradients


def test_a_batch_counts_what_is_rolled_out_before_it_is_scored(recorded: RecordedRun) -> None:
    rollouts = 0
    for event in recorded.events():
        recorded.journal.append(recorded.run, event)
        rollouts += isinstance(event, RolloutFinished) and event.split == "train"
        if rollouts == 4:
            break
    batch = live_of(recorded).batches[1, 1]
    assert (batch.done, batch.scored) == (4, None)


def test_proposals_wait_in_the_queue_until_their_test_begins(recorded: RecordedRun) -> None:
    recorded.write(until=ValidationStarted)
    assert [test.state for test in live_of(recorded).tests.values()] == ["running", "queued"]


def test_a_running_test_shows_how_many_pairs_it_has_and_their_mean(recorded: RecordedRun) -> None:
    recorded.write(until=ValidationFinished)
    events = recorded.journal.events(recorded.run)
    live = RunStory()
    live.apply_all(events[:-1])
    (test, _) = live.tests.values()
    finished = events[-1][1]
    assert isinstance(finished, ValidationFinished)
    assert finished.evidence is not None
    assert test.state == "running"
    assert test.seen == pytest.approx(finished.evidence.deltas)
    so_far = test.so_far()
    assert so_far is not None
    # The verdict's gain weighs the examples; what is told so far is their plain mean.
    assert so_far[0] == pytest.approx(fmean(finished.evidence.deltas.values()))


def test_a_batch_knows_its_rollouts_the_failures_first(recorded: RecordedRun) -> None:
    recorded.write()
    live = live_of(recorded)
    batch = live.batches[1, 1]
    assert batch.scored is not None
    rows = live.rollouts_of(batch)
    assert {row.example for row in rows} == set(batch.scored.examples)
    successes = [row.is_success for row in rows]
    assert successes == sorted(successes)


def test_an_edit_is_compared_with_the_rules_that_it_was_tested_beside(recorded: RecordedRun) -> None:
    recorded.write()
    dropped, *left = recorded.accepted_rules()
    edited = left.pop().model_copy(update={"text": "Edited."})
    started = ValidationStarted(
        id="edit", epoch=1, batch=1, action="add", rule=edited, n=1, before=tuple(rule.id for rule in left)
    )
    recorded.journal.append(recorded.run, started)
    live = live_of(recorded)
    test = live.tests[1, 1, "add", "Edited."]
    assert (test.before, test.after) == (RuleSet(left).digest, RuleSet([*left, edited]).digest)
    rules = live.rules_of(test.before)
    assert rules is not None
    assert dropped.id not in {rule.id for rule in rules}


def test_before_and_after_a_rule_are_the_rollouts_of_its_two_rule_sets(recorded: RecordedRun) -> None:
    recorded.write()
    live = live_of(recorded)
    test = next(test for test in live.tests.values() if test.finished and test.finished.fixed)
    assert test.finished is not None
    for key in test.finished.fixed:
        before, after = live.rollout(key, test.before), live.rollout(key, test.after)
        assert before is not None
        assert after is not None
        assert (before.score, after.score) == (0.0, 1.0)


def test_without_a_process_an_unfinished_run_is_lost(recorded: RecordedRun) -> None:
    assert RunStory().state(is_running=False) == "waiting"
    recorded.write(count=40)
    live = live_of(recorded)
    assert live.state(is_running=True) == "running"
    assert live.state(is_running=False) == "lost"


def test_a_resumed_run_is_no_longer_finished(recorded: RecordedRun) -> None:
    recorded.write()
    live = live_of(recorded)
    live.apply(9999, RunResumed(id="resumed/2", attempt=2))
    assert live.state(is_running=True) == "running"
    assert live.progress.fraction < 1


def test_a_paused_run_says_why(recorded: RecordedRun) -> None:
    recorded.write(count=40)
    live = live_of(recorded)
    live.apply(9999, RunPaused(id="paused/1", reason="a person paused the run"))
    assert live.state(is_running=True) == "paused"
    assert live.pause_reason == "a person paused the run"


def test_progress_is_never_complete_while_work_remains(recorded: RecordedRun) -> None:
    live = RunStory()
    for seq, event in enumerate(recorded.events(), 1):
        live.apply(seq, event)
        if not isinstance(event, RunFinished):
            assert live.progress.fraction < 1


def test_the_log_holds_what_matters_and_keeps_warnings_apart(recorded: RecordedRun) -> None:
    recorded.write()
    live = live_of(recorded)
    live.apply(9999, Notice(id="n", level="warning", text="An answer was ignored."))
    assert live.log[0].kind == "run_started"
    assert (live.log[-1].text, live.log[-1].level) == ("An answer was ignored.", "warning")
    assert not any(row.kind == "rollout" for row in live.log)

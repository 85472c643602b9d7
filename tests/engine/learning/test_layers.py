"""Both layers are learned: rules, screened by likelihood, and demonstrations; both proved by paired tests."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.journal.ablation_events import LayersCompared
from engine.journal.events import BatchScored, PhaseStarted, ReviewAwaited, RolloutFinished, RulesChanged
from engine.journal.learning_events import (
    CandidatesProposed,
    LayerTested,
    QuestionAnswered,
    ScreeningFinished,
)
from engine.learning.optimizer import OptimizationSession
from engine.learning.review import Decisions
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from tests.engine.desk import exact, replayed
from tests.engine.learning.clerk import WORDS, Clerk, clerk_model, clerk_program, clerk_tickets

OPEN: list[OptimizationSession] = []


def learn(clerk=None, *, scores=True, decisions=None, **config):
    clerk = clerk or Clerk()
    usual = {"seed": 1, "verbose": False, "epochs": 1, "batches_per_epoch": 1, "sources": ("auto",)}
    events = []
    session = OptimizationSession(
        PromptGradOptimizer(exact, PromptGradConfig(**{**usual, **config})),
        clerk_program(),
        SessionExamples(clerk_tickets(48, 1), clerk_tickets(24, 2)),
        SessionModels(replayed(clerk_model(clerk)), scorer=clerk if scores else None),
        SessionFollowers(events.append, decisions=decisions),
    )
    OPEN.append(session)
    return events, session.run(), session


@pytest.fixture(autouse=True)
def _closed_sessions():
    yield
    while OPEN:
        OPEN.pop().close()


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("scores", [True, False])
def test_a_set_of_rules_is_found_by_asking_for_topics_and_is_tested_as_a_set(scores):
    events, found, _ = learn(scores=scores)
    named = {
        word: queue
        for rule in found.rules
        for words, queue in [re.findall(r"is about (.*), the queue is (\w+)\.", rule.text)[0]]
        for word in words.split(", ")
    }
    assert all(word in WORDS[queue] for word, queue in named.items())
    assert len(named) == sum(map(len, WORDS.values())), "every training example was in a question"
    right = [ticket["ticket"].split()[2] in named for ticket in clerk_tickets(24, 2)]
    assert found.best.score == pytest.approx(sum(right) / len(right))
    assert all(right)
    assert found.baseline.score == 0.0
    assert len(found.rules) == 4
    tested = of(LayerTested, events)
    assert [(test.layer, test.action, test.verdict) for test in tested] == [("rules", "add", "accepted")]
    assert len(tested[0].rules) == 4
    assert tested[0].evidence.delta == pytest.approx(found.best.score, abs=1e-9)
    assert all(rule.evidence is not None for rule in found.rules)
    assert {question.source for question in of(QuestionAnswered, events)} >= {"topics"}
    assert {made.source for made in of(CandidatesProposed, events)} == {
        "topics",
        "contrast",
        "shapes",
        "pairs",
        "refinement",
    }
    (screening,) = of(ScreeningFinished, events)
    assert screening.signal == ("likelihood" if scores else "score")
    assert any(row.is_tested for row in screening.rows)


def test_demonstrations_are_one_layer_beside_the_rules():
    events, found, session = learn(max_demonstrations=30, sources=("failure_analysis",))
    shown = found.state.demonstrations
    assert len(shown) == 30
    assert len(found.rules) == 0
    assert found.best.score > 0.8
    assert {test.layer for test in of(LayerTested, events)} == {"demonstrations"}
    module = session.program_with(found.state)
    assert [demo["queue"] for demo in module.demos] == [one.outputs["queue"] for one in shown]
    assert of(RulesChanged, events)[-1].demonstrations == shown.demonstrations


@pytest.mark.parametrize(("sources", "shown"), [(("contrast",), 48), (("failure_analysis",), 38)])
def test_as_many_training_examples_as_may_be_shown_are_tested_in_one_set(sources, shown):
    events, found, _ = learn(max_demonstrations=60, sources=sources, batch_size=10)
    (tested,) = [test for test in of(LayerTested, events) if test.layer == "demonstrations"]
    assert tested.verdict == "accepted"
    assert len(tested.demonstrations) == shown, "batches need examples that aren't shown"
    assert len(found.state.demonstrations) == shown


@pytest.mark.parametrize(("confused_by", "tested"), [(60, [48]), (40, [48, 12]), (5, [48, 12])])
def test_a_short_beginning_of_a_set_that_fails_is_tested(confused_by, tested):
    events, found, _ = learn(
        Clerk(confused_by=confused_by), max_demonstrations=60, sources=("contrast",), scores=False
    )
    tests = [test for test in of(LayerTested, events) if test.layer == "demonstrations"]
    assert [len(test.demonstrations) for test in tests] == tested
    passes = [test.verdict == "accepted" for test in tests]
    assert passes == [*[False] * (len(tested) - 1), tested[-1] < confused_by]
    assert len(found.state.demonstrations) == (tested[-1] if passes[-1] else 0)


@dataclass
class Learned(Clerk):
    """A clerk who knows nearly all words without being shown any."""

    def queue(self, messages):
        ticket = messages[-1]["content"]
        known = [name for name, words in WORDS.items() if any(word in ticket for word in words)]
        return super().queue(messages) if "contract" in ticket else known[0]


def test_demonstrations_whose_gain_may_be_chance_are_left_out_again_where_the_score_does_not_fall():
    events, found, _ = learn(Learned(), max_demonstrations=48, sources=("contrast",), scores=False)
    (batch,) = of(BatchScored, events)
    assert not batch.failures, "it learns although this batch was right"
    added, *removed = [test for test in of(LayerTested, events) if test.layer == "demonstrations"]
    assert added.verdict == "accepted"
    assert added.evidence.low <= 0 < added.evidence.delta
    assert [(test.action, test.title, test.verdict) for test in removed] == [
        ("remove", "36 fewer examples", "rejected"),
        ("remove", "12 fewer examples", "accepted"),
    ]
    assert len(found.state.demonstrations) == 36
    assert all(shown.evidence is not None for shown in found.state.demonstrations)
    assert [event.reason for event in of(RulesChanged, events)][:2] == ["demonstrated", "thinned"]


def test_nothing_is_proposed_for_a_state_that_gets_everything_right():
    events, found, _ = learn(sources=("topics",), epochs=3)
    assert found.best.score == 1.0
    assert [event.epoch for event in of(PhaseStarted, events) if event.phase == "proposals"] == [1]


def test_a_person_decides_on_each_demonstration_before_the_run_goes_on():
    asked = []

    def look_up(key):
        asked.append(key.rpartition("/")[2])
        return {"choice": "drop"} if len(asked) <= 2 else {"choice": "keep", "note": "clear"}

    events, found, _ = learn(
        max_demonstrations=6,
        sources=("failure_analysis",),
        epochs=2,
        decisions=Decisions(look_up, lambda: None),
    )
    (waited,) = of(ReviewAwaited, events)
    assert waited.are_demonstrations
    assert list(waited.rules) == asked
    assert len(asked) == 6
    shown = found.state.demonstrations
    assert [one.id for one in shown] == asked[2:]
    assert {one.note for one in shown} == {"clear"}
    reviewed = next(event for event in of(RulesChanged, events) if event.reason == "reviewed")
    assert reviewed.demonstrations == shown.demonstrations


def test_screening_and_demonstrations_use_train_alone():
    events, found, session = learn(max_demonstrations=12)
    train = {item.key for item in session.train}
    assert {one.example for one in found.state.demonstrations} <= train
    assert {key for test in of(LayerTested, events) for key in test.evidence.deltas}.isdisjoint(train)


def test_a_training_example_never_meets_itself_as_a_demonstration():
    _, found, session = learn(max_demonstrations=12, sources=("failure_analysis",))
    own = session.train[0]
    shown = found.state.demonstrations.adding(
        found.state.demonstrations.demonstrations[0].model_copy(
            update={"example": own.key, "inputs": own.inputs, "outputs": {"queue": "nonsense"}}
        )
    )
    (rollout,) = session.runner.run(found.state.with_demonstrations(shown), [own])
    assert rollout.prediction["queue"] != "nonsense"


def test_what_each_layer_brings_is_measured_at_the_end():
    events, found, _ = learn(max_demonstrations=4)
    (layers,) = of(LayersCompared, events)
    assert found.layers == layers
    assert layers.base.score == found.baseline.score
    assert layers.both.score == found.best.score


def test_rules_that_mislead_are_screened_out_and_not_tested():
    wrong = {"music": "kayak, visa", "sports": "piano, train", "legal": "piano", "travel": "kayak"}
    events, found, _ = learn(Clerk(topics=wrong), sources=("topics",))
    assert of(LayerTested, events) == []
    assert len(found.rules) == 0
    (screening,) = of(ScreeningFinished, events)
    assert all(not row.is_tested and row.gain <= 0 for row in screening.rows)


def test_equal_seeds_give_equal_runs():
    runs = [learn(max_demonstrations=6)[0] for _ in range(2)]
    first, second = (
        [event.model_dump(exclude={"time", "seconds"}) for event in sorted(events, key=lambda e: e.id)]
        for events in runs
    )
    assert first == second
    assert of(RolloutFinished, runs[0])

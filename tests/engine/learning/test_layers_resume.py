"""A run that learns both layers can be ended anywhere: it goes on from what was paid for, to the same end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import BudgetExhaustedError
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_scorer
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.testing import ScriptedModel
from tests.engine.desk import exact
from tests.engine.learning.clerk import Clerk, clerk_model, clerk_program, clerk_tickets

CONFIG = PromptGradConfig(
    seed=1, verbose=False, epochs=1, sources=("auto",), max_demonstrations=6, rule_selection_mode="greedy"
)


def scoring_clerk(clerk: Clerk) -> ScriptedModel:
    model = clerk_model(clerk)
    model.score = clerk.score
    return model


def run(
    store: MemoryCompletions,
    clerk: Clerk,
    max_calls: int | None = None,
    *,
    config: PromptGradConfig = CONFIG,
    n: int = 12,
):
    model = scoring_clerk(clerk)
    replay = Replay(store, "run", max_calls=max_calls)
    events = []
    session = OptimizationSession(
        PromptGradOptimizer(exact, config),
        clerk_program(),
        SessionExamples(clerk_tickets(36, 1), clerk_tickets(n, 2)),
        SessionModels(replay.lm(model), scorer=recorded_scorer(replay, model)),
        SessionFollowers(events.append),
    )
    try:
        found = session.run()
    finally:
        session.close()
    told = sorted((e.model_dump(exclude={"time", "seconds"}) for e in events), key=lambda event: event["id"])
    return found, told, replay.usage()


def test_each_scoring_is_counted_also_one_that_is_known():
    clerk, seen = Clerk(), []
    scorer = recorded_scorer(
        Replay(MemoryCompletions(), "run"), scoring_clerk(clerk), lambda: seen.append(clerk.scored)
    )
    assert scorer is not None
    message = [{"role": "user", "content": "[[ ## ticket ## ]]\nA parcel."}]
    for _ in range(2):
        scorer.score(message, ['{"queue": "billing"}', '{"queue": "shipping"}'])
    assert len(seen) == 2
    assert seen[0] == seen[1], "the second was known"


@pytest.fixture(scope="module")
def whole():
    return run(MemoryCompletions(), Clerk())


def test_scorings_are_asked_for_once(whole):
    store, clerk = MemoryCompletions(), Clerk()
    run(store, clerk)
    scored = clerk.scored
    assert scored > 0
    run(store, clerk)
    assert clerk.scored == scored


@pytest.mark.parametrize("share", [number / 21 for number in range(1, 21)])
def test_a_run_ended_anywhere_comes_to_the_same_end(whole, share):
    found, events, usage = whole
    store, clerk = MemoryCompletions(), Clerk()
    try:
        first, _, _ = run(store, clerk, max_calls=round(share * usage.calls))
        assert first.exhausted or first.layers is None, (
            "without the comparison of layers, a result is still whole"
        )
    except BudgetExhaustedError:
        pass
    again, told, _ = run(store, clerk)
    assert again.state == found.state
    assert again.best == found.best
    assert told == events
    assert store.completions_paid("run") == usage.calls


STOPPING = {"config": replace(CONFIG, futility_stopping=True, max_demonstrations=0), "n": 40}


@pytest.fixture(scope="module")
def stopping():
    return run(MemoryCompletions(), Clerk(), **STOPPING)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_a_run_whose_tests_stop_early_comes_to_the_same_end(stopping, share):
    found, events, usage = stopping
    assert sum(event["evidence"]["left_out"] for event in events if event["kind"] == "layer_test") > 0
    store = MemoryCompletions()
    run(store, Clerk(), max_calls=round(share * usage.calls), **STOPPING)
    again, told, _ = run(store, Clerk(), **STOPPING)
    assert (again.state, told) == (found.state, events)
    assert store.completions_paid("run") == usage.calls

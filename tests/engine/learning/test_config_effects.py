"""Each field of PromptGradConfig, by what it changes in a run."""

import itertools
import logging
import threading
import time

import dspy
import pytest

from engine import PromptGradConfig, PromptGradOptimizer, Score
from engine.journal.events import (
    AnalysisFinished,
    BatchScored,
    ConsensusReached,
    EpochFinished,
    RolloutFinished,
    RulesChanged,
    ValidationFinished,
)
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.learning.stopping import Stopping
from engine.programs.conditional import ConditionalProgram
from engine.testing import scripted_model
from tests.engine.desk import BASE, Desk, desk_model, desk_program, exact, learned, replayed, tickets
from tests.patience import PATIENCE_SECONDS


def run(desk=None, *, metric=exact, model=None, train=None, validation=None, program=None, **config):
    """The events of an optimization, what it found, and the module it returns."""
    optimizer = PromptGradOptimizer(metric, PromptGradConfig(**{"seed": 1, "verbose": False, **config}))
    events = []
    session = OptimizationSession(
        optimizer,
        program or desk_program(),
        SessionExamples(train or tickets(60, 1), tickets(60, 2) if validation is None else validation),
        SessionModels(replayed(model or desk_model(desk))),
        SessionFollowers(events.append),
    )
    try:
        found = session.run()
        return events, found, session.program_with(found.state)
    finally:
        session.close()


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def steady(script=None):
    """A desk that never learns, so that every epoch is like the first."""
    return Desk(proposals=[])


def test_epochs():
    events, _, _ = run(steady(), epochs=4, early_stop_patience=9)
    assert [event.epoch for event in of(EpochFinished, events)] == [0, 1, 2, 3, 4]


def test_batches_per_epoch():
    events, _, _ = run(steady(), epochs=1, batches_per_epoch=5)
    assert [event.batch for event in of(BatchScored, events)] == [1, 2, 3, 4, 5]


def test_batch_size():
    events, _, _ = run(steady(), epochs=1, batch_size=7)
    assert {len(event.examples) for event in of(BatchScored, events)} == {7}


@pytest.mark.parametrize("workers", [1, 4])
def test_max_workers(workers):
    active, most, lock = 0, 0, threading.Lock()
    calls, together = itertools.count(1), threading.Barrier(workers)

    def script(messages):
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        if next(calls) <= workers:
            together.wait(PATIENCE_SECONDS)  # as many as may come, come at once
        time.sleep(0.005)  # long enough for one more
        with lock:
            active -= 1
        return '{"queue": "general"}'

    run(
        model=scripted_model(script),
        epochs=1,
        max_workers=workers,
        gradient_samples=1,
        train=tickets(20, 1, 0.0),
    )
    assert most == workers


def test_num_val_runs():
    answers = iter(range(10**6))

    def metric(example, prediction):
        return Score(float(next(answers) % 2), True)

    events, found, _ = run(steady(), epochs=1, num_val_runs=3, metric=metric, max_workers=1)
    repeats = {e.repeat for e in of(RolloutFinished, events) if e.split == "validation"}
    assert repeats == {0, 1, 2}
    assert found.baseline.n == 60
    assert 0.3 < found.baseline.score < 0.7


@pytest.mark.parametrize(("temperature", "draws"), [(0.0, 1), (0.8, 3), (None, 3)])
def test_validation_runs_are_drawn_apart_where_a_model_samples(temperature, draws):
    model = desk_model(steady())
    model.lm = model.lm.copy(temperature=temperature)
    run(model=model, train=tickets(4, 1), epochs=1, num_val_runs=3)
    asked = [request for request in model.requests if "Case 2000:" in request.messages[-1].text]
    assert len({request.config.seed for request in asked}) == len(asked) == draws


def test_a_model_that_takes_no_seed_gets_none():
    model = desk_model(steady())
    model.engine.supported_params = model.engine.supported_params - {"seed"}
    run(model=model, epochs=1)
    assert {request.config.seed for request in model.requests} == {None}


def test_verbose(caplog):
    with caplog.at_level(logging.INFO, "promptgrad"):
        run(steady(), epochs=1, verbose=False)
        assert caplog.messages == []
        run(steady(), epochs=1, verbose=True)
    assert caplog.messages[0].startswith("Baseline: ")


def test_seed():
    batches = [
        [event.examples for event in of(BatchScored, run(steady(), epochs=1, seed=seed)[0])]
        for seed in (1, 1, 2)
    ]
    assert batches[0] == batches[1] != batches[2]


def test_no_seed_draws_one():
    first, second = (of(BatchScored, run(steady(), epochs=1, seed=None)[0])[0].examples for _ in range(2))
    assert first != second


@pytest.mark.parametrize(("fraction", "held_out"), [(0.2, 12), (0.5, 30)])
def test_val_holdout_fraction(fraction, held_out):
    optimizer = PromptGradOptimizer(
        exact, PromptGradConfig(seed=1, verbose=False, epochs=1, val_holdout_fraction=fraction)
    )
    session = OptimizationSession(
        optimizer, desk_program(), SessionExamples(tickets(60, 1)), SessionModels(desk_model(steady()).lm)
    )
    assert session.run().baseline.n == held_out


def test_validate_rules():
    wrong = [{"text": "Tickets that mention Case go to nowhere.", "trigger": ""}]
    tested, _, _ = run(Desk(proposals=wrong), epochs=1)
    untested, _, _ = run(Desk(proposals=wrong), epochs=1, validate_rules=False)
    assert of(RulesChanged, tested) == []
    assert of(ValidationFinished, untested) == []
    assert len(of(RulesChanged, untested)[0].rules) == 1


def test_rule_validation_examples():
    events, _, _ = run(epochs=1, rule_validation_examples=9)
    assert {event.evidence.n for event in of(ValidationFinished, events)} == {9}


def test_rule_validation_min_delta():
    _, found, _ = run(epochs=1, rule_validation_min_delta=0.9)
    assert len(found.rules) == 0
    _, found, _ = run(epochs=1, rule_validation_min_delta=0.01)
    assert len(found.rules) > 0


def test_rule_validation_mode():
    # One example in the whole split is repaired: a gain, but no evidence.
    validation = [
        *tickets(59, 2, share=0.0),
        {"id": "v", "ticket": "Case: my drone is late.", "queue": "aviation"},
    ]
    propose = Desk(proposals=[{"text": "Tickets that mention drone go to aviation.", "trigger": "drone"}])
    by_delta, _, _ = run(propose, epochs=1, validation=validation)
    by_interval, found, _ = run(propose, epochs=1, validation=validation, rule_validation_mode="auto")
    assert of(ValidationFinished, by_delta)[0].verdict == "accepted"
    assert of(ValidationFinished, by_interval)[0].verdict == "needs_review"
    assert "; 1 rule gained something, but not enough for" in found.reason


def test_auto_accepts_what_the_interval_proves():
    _, found, _ = run(epochs=2, rule_validation_mode="auto", rule_validation_examples=40)
    assert len(found.rules) >= 2
    assert all(rule.evidence.low > 0 for rule in found.rules)


def test_rule_selection_mode():
    proposals = [
        {"text": "Tickets that mention drone go to aviation.", "trigger": "drone"},
        {"text": "Tickets that mention piano or drone go to music.", "trigger": "piano"},
        {"text": "Tickets that mention voucher or visa or kayak go to loyalty.", "trigger": "voucher"},
    ]
    default, _, _ = run(Desk(proposals=proposals), epochs=1, batches_per_epoch=1)
    greedy, found, _ = run(
        Desk(proposals=proposals), epochs=1, batches_per_epoch=1, rule_selection_mode="greedy"
    )
    assert len(of(ValidationFinished, default)) == 3
    assert len(of(ValidationFinished, greedy)) > 3
    gains = [event.evidence.delta for event in of(ValidationFinished, greedy)[:3]]
    assert found.rules.rules[0].text == proposals[gains.index(max(gains))]["text"]


def grown(**config):
    """A run in which six rules come up at once, untested."""
    proposals = [
        {"text": f"Tickets that mention {phrase} go to {queue}.", "trigger": phrase}
        for phrase, queue in {
            "drone": "a",
            "visa": "b",
            "kayak": "c",
            "piano": "d",
            "yacht": "e",
            "voucher": "f",
        }.items()
    ]
    return run(Desk(proposals=proposals), epochs=1, batches_per_epoch=1, **config)


def test_max_local_rules():
    events, _, _ = grown(validate_rules=False, max_local_rules=4, rule_pruning_strategy="delta")
    assert len(of(RulesChanged, events)[-1].rules) == 4


def test_pruning_by_rollback_keeps_the_best_tested_state_in_the_first_epoch():
    """Each rule passed its test: what was held before one rule too many came is the best state there is."""
    events, found, _ = run(epochs=1, batches_per_epoch=8, max_local_rules=4, rule_validation_examples=60)
    pruned = [event for event in of(RulesChanged, events) if event.reason == "pruned"]
    assert pruned
    assert {len(event.rules) for event in pruned} == {4}
    assert len(found.rules) == 4
    assert found.best.score > found.baseline.score + 0.2


@pytest.mark.parametrize(("strategy", "left"), [("rollback", 0), ("delta", 4)])
def test_rule_pruning_strategy(strategy, left):
    events, _, _ = grown(validate_rules=False, max_local_rules=4, rule_pruning_strategy=strategy)
    pruned = [event for event in of(RulesChanged, events) if event.reason == "pruned"]
    assert [len(event.rules) for event in pruned] == [left]


def test_pruning_by_delta_keeps_the_largest_gains():
    events, _, _ = run(epochs=2, max_local_rules=2, rule_pruning_strategy="delta", early_stop_patience=9)
    pruned = [event for event in of(RulesChanged, events) if event.reason == "pruned"]
    before = [event for event in of(RulesChanged, events) if event.reason == "accepted"]
    assert pruned
    kept = {rule.id for rule in pruned[0].rules}
    full = next(event for event in reversed(before) if event.time <= pruned[0].time)
    gains = sorted((rule.evidence.delta for rule in full.rules), reverse=True)
    assert sorted((r.evidence.delta for r in full.rules if r.id in kept), reverse=True) == gains[:2]


@pytest.mark.parametrize(("threshold", "merged"), [(3, True), (30, False)])
def test_merge_threshold(threshold, merged):
    desk = Desk(merged={"text": "Whatever is about a drone goes to aviation.", "trigger": "drone"})
    desk.proposals = [
        {"text": text.format(phrase, queue), "trigger": phrase}
        for phrase, queue in (("drone", "aviation"), ("visa", "legal"))
        for text in (
            "Tickets that ask about a {} go to {}.",
            "If a customer wants to know about their {}, choose {}.",
        )
    ]
    events, _, _ = run(desk, epochs=1, batches_per_epoch=1, validate_rules=False, merge_threshold=threshold)
    reasons = {event.reason for event in of(RulesChanged, events)}
    assert ("merged" in reasons) is merged


def test_early_stop_patience():
    events, found, _ = run(steady(), epochs=9, early_stop_patience=3)
    assert max(event.epoch for event in of(EpochFinished, events)) == 3
    assert found.reason == "3 epochs in a row brought no improvement"


def test_convergence_ends_a_run_that_patience_lets_go_on():
    events, found, _ = run(steady(), epochs=9, early_stop_patience=9, convergence_window=4)
    assert max(event.epoch for event in of(EpochFinished, events)) == 4
    assert found.reason == "the scores of the last 4 epochs lie within 0.000: it has converged"
    _, found, _ = run(steady(), epochs=3, early_stop_patience=9, convergence_window=4)
    assert found.reason == "all epochs are done"


@pytest.mark.parametrize(
    ("scores", "stops_after"),
    [
        ([0.5, 0.504, 0.509, 0.509], 3),
        ([0.5, 0.6, 0.7, 0.705, 0.709], 5),
        ([0.5, 0.51, 0.505, 0.5, 0.51], None),
        ([0.5, 0.5], None),
    ],
)
def test_a_window_of_scores_has_to_lie_closer_than_the_threshold(scores, stops_after):
    config = PromptGradConfig(convergence_window=3, convergence_threshold=0.01, early_stop_patience=9)
    stopping = Stopping(config)
    reasons = [stopping.reason(score, improved=True) for score in scores]
    first = next((number for number, reason in enumerate(reasons, 1) if reason), None)
    assert first == stops_after


@pytest.mark.parametrize(("threshold", "outcome"), [(0.05, "rolled_back"), (1.0, "no_better")])
def test_rollback_threshold(threshold, outcome):
    harmful = [{"text": "Tickets that mention Case go to nowhere.", "trigger": ""}]
    events, found, _ = run(
        Desk(proposals=harmful), epochs=1, validate_rules=False, rollback_threshold=threshold
    )
    assert of(EpochFinished, events)[-1].outcome == outcome
    assert len(found.rules) == 0


class Turning(Desk):
    """A desk that learns the policy at first, and then something that breaks every other ticket."""

    def _analysis(self, user):
        has_learned = "drone go" in user.split("[[ ## rules ## ]]")[1].split("[[ ## successes ## ]]")[0]
        self.proposals = (
            [{"text": "Tickets that mention Case go to nowhere.", "trigger": ""}] if has_learned else None
        )
        return super()._analysis(user)


def test_a_fall_is_measured_from_the_best_state_and_not_from_the_baseline():
    zebras = [{"id": f"z{n}", "ticket": f"Case z{n}: my zebra is late.", "queue": "zoo"} for n in range(12)]
    events, found, _ = run(
        Turning(),
        train=[*tickets(48, 1), *zebras],
        validation=tickets(60, 2, share=0.8),
        epochs=2,
        batches_per_epoch=1,
        batch_size=60,
        gradient_failure_display_limit=60,
        validate_rules=False,
    )
    baseline, best, fallen = (event.validation.score for event in of(EpochFinished, events))
    assert baseline < fallen < best - 0.05
    assert of(EpochFinished, events)[-1].outcome == "rolled_back"
    assert of(RulesChanged, events)[-1].rules == found.rules.rules
    assert found.best.score == best


def test_failure_threshold():
    def graded(example, prediction):
        return Score(0.4, False, "almost", "almost")

    lenient, _, _ = run(steady(), metric=graded, epochs=1, failure_threshold=0.3)
    strict, _, _ = run(steady(), metric=graded, epochs=1, failure_threshold=0.5)
    assert {len(event.failures) for event in of(BatchScored, lenient)} == {0}
    assert {len(event.failures) for event in of(BatchScored, strict)} == {10}


def conditional(**config):
    return run(epochs=1, batches_per_epoch=6, conditional_rules=True, **config)


def test_conditional_rules():
    _, found, module = conditional()
    assert isinstance(module, ConditionalProgram)
    model = desk_model()
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        assert module(ticket="my drone is late").queue == "aviation"
        assert module(ticket="my parcel is late").queue == "general"
    met = [learned(request.system) for request in model.requests]
    assert met == [{"drone"}, set()]
    assert len(found.rules) > 1


def test_rule_trigger_top_k():
    _, _, module = conditional(rule_trigger_top_k=1)
    model = desk_model()
    with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
        module(ticket="drone and visa and kayak and piano")
    assert len(learned(model.requests[0].system)) == 1


def test_rule_trigger_min_overlap():
    proposals = [{"text": "Tickets that mention drone go to aviation.", "trigger": "drone race permit"}]

    def met(min_overlap):
        _, _, module = run(
            Desk(proposals=proposals),
            epochs=1,
            conditional_rules=True,
            validate_rules=False,
            rule_trigger_min_overlap=min_overlap,
        )
        model = desk_model()
        with dspy.context(lm=model.lm, adapter=dspy.JSONAdapter()):
            module(ticket="the drone fell")
        return learned(model.requests[0].system)

    assert met(0.3) == {"drone"}
    assert met(0.9) == set()


def test_stratified_sampling():
    # One failure in sixty: once it is known, every stratified batch has a seat for it.
    train = [
        *tickets(59, 1, share=0.0),
        {"id": "x", "ticket": "Case: my drone is late.", "queue": "aviation"},
    ]

    def seats(stratified):
        events, _, _ = run(
            steady(),
            train=train,
            batch_size=6,
            batches_per_epoch=30,
            epochs=1,
            stratified_sampling=stratified,
        )
        batches = [bool(event.failures) for event in of(BatchScored, events)]
        return batches[batches.index(True) :]

    assert all(seats(stratified=True))
    assert not all(seats(stratified=False))


def analyses(**config):
    events, _, _ = run(epochs=1, batches_per_epoch=1, **config)
    return of(AnalysisFinished, events), of(ConsensusReached, events)


def test_gradient_consensus():
    passes, agreed = analyses(gradient_consensus=False)
    assert len(passes) == 1
    assert agreed[0].passes == 1


def test_gradient_samples():
    passes, agreed = analyses(gradient_samples=5)
    assert len(passes) == 5
    assert {proposal.support for proposal in agreed[0].kept} == {5}


@pytest.mark.parametrize("passes", [{"gradient_samples": 1}, {"gradient_consensus": False}])
def test_a_single_pass_can_have_a_rule_removed(passes):
    harmful = [{"text": "Tickets that mention Case go to nowhere.", "trigger": ""}]
    events, _, _ = run(
        Desk(proposals=harmful, removals=(1,)), epochs=1, batches_per_epoch=2, validate_rules=False, **passes
    )
    assert [event.reason for event in of(RulesChanged, events)] == ["accepted", "removed"]


def test_gradient_temperatures():
    passes, _ = analyses(gradient_temperature_base=0.2, gradient_temperature_step=0.1)
    assert sorted(round(event.temperature, 3) for event in passes) == [0.2, 0.3, 0.4]


def test_gradient_max_tokens():
    model = desk_model()
    run(model=model, epochs=1, batches_per_epoch=1, gradient_max_tokens=123)
    limits = {r.config.max_tokens for r in model.requests if "failures" in r.messages[-1].text}
    assert limits == {123}


def test_gradient_failure_display_limit():
    model = desk_model()
    run(model=model, epochs=1, batches_per_epoch=1, gradient_failure_display_limit=2)
    shown = {
        r.messages[-1].text.count("\nFailure ")
        for r in model.requests
        if "## failures" in r.messages[-1].text
    }
    assert shown == {2}


def test_base_prompt_source():
    _, _, module = run(steady(), epochs=1, base_prompt_source="Other words.")
    assert module.signature.instructions == "Other words."
    _, _, module = run(steady(), epochs=1)
    assert module.signature.instructions == BASE

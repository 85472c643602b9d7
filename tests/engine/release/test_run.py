import threading
import time
from dataclasses import replace

import pytest

from engine import PromptGradConfig
from engine.ground.errors import (
    BudgetTooSmallError,
    JournalError,
    ModelUnavailableError,
    ProjectError,
    RunLockedError,
)
from engine.ground.examples import example_key, public_fields
from engine.ground.model import RunModels
from engine.journal.events import (
    EpochFinished,
    Notice,
    RolloutFinished,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    TestFinished,
)
from engine.journal.journal import Journal, journal_path
from engine.project.data import LoadedExample
from engine.project.gates import Gates
from engine.release.artifacts import load_artifact, load_manifest
from engine.release.manifest import load_measurement
from engine.release.release_gate import evaluate_gates
from engine.release.run import execute
from engine.release.run_plan import RunPlan
from engine.release.sealed_test import openings
from engine.testing import ScriptedEngine, ScriptedModel, scripted_model
from tests.engine.desk import POLICY, Desk, desk_model, desk_program, exact, learned, tickets
from tests.patience import PATIENCE_SECONDS

SOME = list(POLICY.items())[:3]


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def loaded(examples, tmp_path, split):
    return [
        LoadedExample(values, tmp_path / f"{split}.jsonl", line, example_key(values, ["ticket", "queue"]))
        for line, values in enumerate(examples, 1)
    ]


def plan(tmp_path, journal, *, model=None, run=None, test=80, config=None, **options):
    model = model or desk_model()
    return RunPlan(
        run=run or journal.create_run(tmp_path).id,
        project=tmp_path,
        name="desk",
        program=desk_program(),
        metric=exact,
        metric_name="exact",
        config=PromptGradConfig(**{"seed": 3, "verbose": False, "epochs": 2, **(config or {})}),
        train=loaded(tickets(60, 1), tmp_path, "train"),
        validation=loaded(tickets(60, 2), tmp_path, "validation"),
        test=loaded(tickets(test, 3), tmp_path, "test"),
        models=RunModels(model, model),
        artifacts=tmp_path / "artifacts",
        **options,
    )


def events(journal, run, kind):
    return [event for _, event in journal.events(run) if isinstance(event, kind)]


def outcome(summary):
    """What a run comes to, without the time it took."""
    return summary.model_dump(exclude={"seconds", "run", "artifact"})


def test_a_run_improves_proves_it_on_the_test_split_and_saves_an_artifact(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = execute(wanted, journal)
    assert summary.status == "improved"
    assert summary.optimized.test.score == 1.0
    assert summary.baseline.test.score < 0.6
    assert summary.baseline.test.n == 80
    assert {rule.trigger for rule in summary.rules} == set(POLICY)
    assert summary.calls == len(wanted.models.task.requests)
    manifest = load_manifest(summary.artifact)
    assert manifest.optimized == summary.optimized
    module = load_artifact(summary.artifact, desk_program(), wanted.models.task.revision)
    assert learned(module.signature.instructions) == set(POLICY)


def test_the_test_split_is_opened_once_and_last(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    splits = [event.split for event in events(journal, wanted.run, RolloutFinished)]
    assert set(splits[: splits.index("test")]) == {"train", "validation"}
    assert set(splits[splits.index("test") :]) == {"test"}
    assert len(events(journal, wanted.run, TestFinished)) == 1


def test_a_run_that_found_nothing_says_so(tmp_path, journal):
    summary = execute(plan(tmp_path, journal, model=desk_model(Desk(proposals=[]))), journal)
    assert summary.status == "no_improvement"
    assert "no rules scored better" in summary.reason
    assert summary.artifact is None
    assert summary.baseline == summary.optimized
    assert not (tmp_path / "artifacts").exists()


def test_a_gain_that_is_gone_on_the_test_split_is_no_improvement(tmp_path, journal):
    lucky = desk_model(
        Desk(proposals=[{"text": "Tickets that mention drone go to aviation.", "trigger": "drone"}])
    )
    summary = execute(plan(tmp_path, journal, model=lucky, gates=Gates(min_test_gain=0.9)), journal)
    assert summary.status == "no_improvement"
    assert "failed the release gate on the test split: min_test_gain" in summary.reason
    assert "at least 0.9 required" in summary.reason
    assert summary.artifact is None


def test_several_failed_gates_are_counted(tmp_path, journal):
    summary = execute(
        plan(tmp_path, journal, gates=Gates(min_test_gain=0.99, must_pass=("nobody",))), journal
    )
    assert "but failed 2 release gates on the test split: min_test_gain" in summary.reason


def test_a_better_mean_with_a_worse_critical_slice_is_withheld(tmp_path, journal):
    sliced = [
        {**ticket, "task": "refund" if number % 4 else "delivery"}
        for number, ticket in enumerate(tickets(80, 3, share=0.9))
    ]
    wanted = plan(tmp_path, journal, gates=Gates(slices={"refund": 1.0, "delivery": 0.1}), slice_field="task")
    desk = Desk(proposals=[{"text": f"Tickets that mention {w} go to {q}.", "trigger": w} for w, q in SOME])
    wanted = replace(
        wanted,
        test=loaded(sliced, tmp_path, "test"),
        models=RunModels(desk_model(desk), desk_model(desk)),
    )
    summary = execute(wanted, journal)
    assert summary.optimized.test.score > summary.baseline.test.score
    assert (summary.status, summary.artifact) == ("no_improvement", None)
    assert "slices.refund" in summary.reason
    assert "slices.delivery" not in summary.reason
    assert {name: scores.gain.n for name, scores in summary.slices.items()} == {"delivery": 20, "refund": 60}
    manifest = load_manifest(summary.withheld)
    assert {result.gate: result.passed for result in manifest.gates}["slices.refund"] is False
    assert evaluate_gates(wanted.gates, load_measurement(summary.withheld)).results == manifest.gates


def test_a_must_pass_example_of_any_split_is_measured_with_the_test_split(tmp_path, journal):
    kept = next(t["id"] for t in tickets(60, 1) if t["queue"] == "general")
    spoilt = desk_model(
        Desk(proposals=[{"text": "Tickets that mention drone go to aviation.", "trigger": "drone"}])
    )
    missed = next(t["id"] for t in tickets(60, 2) if t["queue"] not in ("general", "aviation"))
    wanted = plan(tmp_path, journal, model=spoilt, gates=Gates(must_pass=(missed, kept)))
    summary = execute(wanted, journal)
    verdicts = {result.gate: result.passed for result in summary.gates}
    assert verdicts[f"must_pass.{missed}"] is False
    assert verdicts[f"must_pass.{kept}"] is True
    assert summary.optimized.test.n == 80


def test_every_new_look_at_the_test_split_is_counted(tmp_path, journal):
    first = plan(tmp_path, journal)
    assert execute(first, journal).test_opening == 1
    again = plan(tmp_path, journal)
    assert execute(again, journal).test_opening == 1, "the same rules on the same model tell nothing new"
    one_rule = Desk(proposals=[{"text": "Tickets that mention drone go to aviation.", "trigger": "drone"}])
    other = plan(tmp_path, journal, model=desk_model(one_rule), config={"epochs": 1})
    assert execute(other, journal).test_opening == 2
    grown = plan(tmp_path, journal, test=81)
    assert execute(grown, journal).test_opening == 1
    digest = events(journal, first.run, RunStarted)[0].data["test"].digest
    assert [run for run, _ in openings(journal, digest)] == [first.run, again.run, other.run]


def test_slices_are_told_for_the_baseline_and_each_epoch_as_its_rollouts_show(tmp_path, journal):
    sliced = [{**t, "task": ("refund", "delivery")[n % 3 == 0]} for n, t in enumerate(tickets(60, 2))]
    wanted = replace(
        plan(tmp_path, journal, slice_field="task"), validation=loaded(sliced, tmp_path, "validation")
    )
    summary = execute(wanted, journal)
    slices = {example_key(t, public_fields(t)): t["task"] for t in sliced}
    scores = {
        (rollout.rules, rollout.example): rollout.score
        for rollout in events(journal, wanted.run, RolloutFinished)
        if rollout.split == "validation"
    }
    epochs = events(journal, wanted.run, EpochFinished)
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    for epoch in epochs:
        for name, n in (("refund", 40), ("delivery", 20)):
            own = [
                score
                for (rules, key), score in scores.items()
                if rules == epoch.rules and slices[key] == name
            ]
            assert len(own) == n
            told = epoch.slices[name]
            assert (told.score.n, told.score.score) == (n, pytest.approx(sum(own) / n))
            assert told.failures == own.count(0.0)
    best = max(epochs, key=lambda epoch: epoch.validation.score)
    for name, scores_of in summary.validation_slices.items():
        assert scores_of.baseline == epochs[0].slices[name].score
        assert scores_of.optimized == best.slices[name].score
        assert scores_of.gain.low > 0


class Counted:
    """A script that notes how many requests were under way when each began; 3 in a test ticket's number."""

    def __init__(self):
        self.desk, self.lock = Desk(), threading.Lock()
        self.under_way, self.begun = 0, []

    def __call__(self, messages):
        with self.lock:
            self.under_way += 1
            self.begun.append((str(messages), self.under_way))
        time.sleep(0.002)
        with self.lock:
            self.under_way -= 1
        return self.desk.answer(messages)


def test_a_latency_gate_times_the_optimized_program_one_call_at_a_time(tmp_path, journal):
    script = Counted()
    model = scripted_model(script)
    wanted = plan(tmp_path, journal, model=model, gates=Gates(max_p95_latency_seconds=60.0))
    summary = execute(wanted, journal)
    assert summary.status == "improved"
    asked = [prompt for prompt, _ in script.begun]
    twice = {prompt for prompt in asked if asked.count(prompt) == 2}
    assert len(twice) == 80, "each test example of the optimized program, and nothing else"
    first = {prompt: under_way for prompt, under_way in reversed(script.begun) if prompt in twice}
    assert set(first.values()) == {1}
    measured = load_measurement(summary.artifact)
    assert len(measured.latencies) == 79, "the first call warms the model up"
    [gate] = [result for result in summary.gates if result.gate == "max_p95_latency_seconds"]
    assert gate.value == measured.p95_latency >= 0.002
    assert "one call at a time, n = 79" in gate.detail
    assert execute(plan(tmp_path, journal, model=model, gates=wanted.gates), journal).status == "improved"
    assert len(script.begun) == len(asked) + 80, "another run times anew and asks nothing else again"


def test_a_run_without_a_latency_gate_times_nothing(tmp_path, journal):
    summary = execute(plan(tmp_path, journal), journal)
    measured = load_measurement(summary.artifact)
    assert measured.mean_latency is None
    [_, gate] = evaluate_gates(Gates(max_mean_latency_seconds=60.0), measured).results
    assert (gate.passed, gate.value) == (False, None)


def test_a_run_is_not_gone_on_with_on_another_model(tmp_path, journal):
    wanted = plan(tmp_path, journal)

    def stop_early(event):
        if isinstance(event, EpochFinished):
            journal.send_command(wanted.run, "stop")

    assert execute(wanted, journal, on_event=stop_early).status == "stopped"
    before = len(journal.events(wanted.run))
    other = scripted_model(Desk().answer, name="another")
    with pytest.raises(ProjectError, match="has moved: it was"):
        execute(plan(tmp_path, journal, model=other, run=wanted.run), journal)
    assert other.requests == []
    assert len(journal.events(wanted.run)) == before + 2, "that it was taken up, and why that ended"
    assert execute(plan(tmp_path, journal, run=wanted.run), journal).status == "improved"


def on_machine(numerics):
    model = desk_model()
    model.revision = replace(model.revision, numerics=numerics)
    return model


def stopped_and_resumed(tmp_path, journal, first, second):
    wanted = plan(tmp_path, journal, model=first)

    def stop_early(event):
        if isinstance(event, EpochFinished):
            journal.send_command(wanted.run, "stop")

    assert execute(wanted, journal, on_event=stop_early).status == "stopped"
    summary = execute(plan(tmp_path, journal, model=second, run=wanted.run), journal)
    assert summary.status == "improved"
    notices = [event.text for _, event in journal.events(wanted.run) if isinstance(event, Notice)]
    asked = [
        {str((request.system, request.messages, request.config)) for request in model.requests}
        for model in (first, second)
    ]
    return asked, [text for text in notices if "another machine" in text], summary


def test_a_run_that_goes_on_on_another_machine_says_so_and_asks_again(tmp_path, journal):
    (before, after), told, summary = stopped_and_resumed(
        tmp_path, journal, on_machine("CPU AVX2"), on_machine("CPU AVX512")
    )
    assert before
    assert before <= after, "no answer of the other machine is taken for one of this"
    assert len(told) == 1
    assert "It was: CPU AVX2. It is: CPU AVX512." in told[0]
    assert load_manifest(summary.artifact).model.revision["numerics"] == "CPU AVX512"


@pytest.mark.parametrize("before", ["CPU AVX2", ""], ids=["same", "from before it was written down"])
def test_a_run_that_goes_on_on_its_own_machine_asks_nothing_again(tmp_path, journal, before):
    (first, second), told, _ = stopped_and_resumed(
        tmp_path, journal, on_machine(before), on_machine("CPU AVX2")
    )
    assert first
    assert not first & second
    assert told == []


def test_a_finished_run_answers_at_once(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    first = execute(wanted, journal)
    paid = len(wanted.models.task.requests)
    assert execute(wanted, journal) == first
    assert len(wanted.models.task.requests) == paid


def test_a_run_that_is_stopped_and_resumed_ends_like_one_that_was_not(tmp_path, journal):
    whole = execute(plan(tmp_path, journal), journal)
    other = Journal.open(tmp_path / "other.sqlite")
    model, cancelled = desk_model(), threading.Event()
    run = other.create_run(tmp_path).id
    stopped_at = [40, 150, 260]

    def cancel():
        model.engine.cancel()
        cancelled.set()

    model.cancel = cancel
    for limit in stopped_at:
        seen = 0

        def count(event, limit=limit):
            nonlocal seen
            seen += isinstance(event, RolloutFinished)
            if seen == limit:
                cancelled.clear()
                other.send_command(run, "stop")
                assert cancelled.wait(PATIENCE_SECONDS)

        summary = execute(plan(tmp_path, other, model=model, run=run), other, on_event=count)
        if summary.status == "stopped":
            continue
    summary = execute(plan(tmp_path, other, model=model, run=run), other)
    assert outcome(summary) == outcome(whole)
    assert other.completions_paid(run) == whole.calls
    assert [event.attempt for event in events(other, run, RunResumed)][:1] == [2]
    assert len(events(other, run, RunStarted)) == 1


class LateEngine(ScriptedEngine):
    """Its first call has passed the checkpoint when the run is stopped, and begins only then."""

    def __init__(self, stop):
        super().__init__(Desk().answer)
        self.stop, self.is_first, self.cancelled = stop, threading.Lock(), threading.Semaphore(0)

    def complete(self, request):
        if self.is_first.acquire(blocking=False):
            self.stop()
            for cancel in ("the stop's, of the task model", "the stop's, of the reflection model", "its own"):
                assert self.cancelled.acquire(timeout=PATIENCE_SECONDS), cancel
            raise ConnectionError("cancelled")
        return super().complete(request)

    def cancel(self):
        self.cancelled.release()


def test_a_call_that_begins_just_after_a_stop_is_ended_too(tmp_path, journal):
    run = journal.create_run(tmp_path).id
    model = ScriptedModel(LateEngine(lambda: journal.send_command(run, "stop")))
    assert execute(plan(tmp_path, journal, model=model, run=run), journal).status == "stopped"


def test_commands_that_came_before_a_run_listens_are_obeyed_from_the_number_that_is_given(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    journal.send_command(wanted.run, "stop")
    seen = journal.last_command(wanted.run)
    journal.send_command(wanted.run, "stop")
    assert execute(wanted, journal, after_command=seen).status == "stopped"
    assert execute(wanted, journal, after_command=journal.last_command(wanted.run)).status == "improved"


def test_a_model_that_goes_down_ends_the_run_with_an_error_and_can_be_resumed(tmp_path, journal):
    desk, calls = Desk(), 0

    def script(messages):
        nonlocal calls
        calls += 1
        if calls == 100:
            raise ConnectionError("connection refused")
        return desk.answer(messages)

    model = scripted_model(script)
    run = journal.create_run(tmp_path).id
    with pytest.raises(ModelUnavailableError, match="connection refused"):
        execute(plan(tmp_path, journal, model=model, run=run), journal)
    assert events(journal, run, RunFinished)[-1].summary.status == "error"
    assert execute(plan(tmp_path, journal, model=model, run=run), journal).status == "improved"


def test_a_budget_ends_a_run_cleanly_and_leaves_the_test_paid(tmp_path, journal):
    wanted = plan(tmp_path, journal, max_calls=330)
    summary = execute(wanted, journal)
    assert summary.status == "budget"
    assert summary.calls <= 330
    assert summary.optimized.test.n == 80


def test_a_budget_below_the_test_split_is_an_error_before_any_call(tmp_path, journal):
    wanted = plan(tmp_path, journal, max_calls=100)
    with pytest.raises(BudgetTooSmallError, match="160 calls"):
        execute(wanted, journal)
    assert wanted.models.task.requests == []


def test_minutes_end_a_run_cleanly(tmp_path, journal):
    summary = execute(plan(tmp_path, journal, max_minutes=0.0), journal)
    assert summary.status == "budget"
    assert "0 minutes" in summary.reason


def test_a_paused_run_waits_and_goes_on(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    paused, asked = threading.Event(), []

    def pause_once(event):
        if isinstance(event, EpochFinished) and event.epoch == 0:
            journal.send_command(wanted.run, "pause")
            assert paused.wait(PATIENCE_SECONDS)
            threading.Thread(target=go_on).start()
        if isinstance(event, RunPaused):
            paused.set()

    def go_on():
        for _ in range(2):
            asked.append(len(wanted.models.task.requests))
            time.sleep(0.3)
        journal.send_command(wanted.run, "continue")

    assert execute(wanted, journal, on_event=pause_once).status == "improved"
    assert asked[0] == asked[1] < len(wanted.models.task.requests)


def test_two_processes_on_one_run(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    with Journal.open(journal.path) as other, other.lock_run(wanted.run), pytest.raises(RunLockedError):
        execute(wanted, journal)


def test_no_event_is_written_twice(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    execute(wanted, journal)
    ids = [event.id for _, event in journal.events(wanted.run)]
    assert len(ids) == len(set(ids))


def test_an_unknown_run_lists_the_known_ones(tmp_path, journal):
    known = journal.create_run(tmp_path).id
    with pytest.raises(JournalError, match=known):
        journal.run("nothing-like-it")

"""A contest of methods on the scripted desk: one budget, one look at the test split, resumable."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import dspy
import pytest

from engine.ground.model import RunModels
from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.contest_events import ContestStarted, LaneFinished
from engine.journal.events import TestOpened
from engine.journal.journal import Journal, journal_path
from engine.project.methods import ContestPlan
from engine.release.artifacts import load_artifact
from engine.release.contest.contest import contested
from engine.release.manifest import load_manifest, load_measurement
from engine.release.run import execute
from engine.testing import scripted_model
from tests.engine.desk import POLICY, Desk, desk_model, desk_program, learned, tickets
from tests.engine.learning.methods.test_methods import Clerk
from tests.engine.release.test_run import events, loaded, plan


def cramped(words):
    """Models of which the task's has room for so many words: rules fit, twelve demonstrations don't."""
    return RunModels(
        scripted_model(Desk().answer, context_length=words), scripted_model(Desk().answer, name="large")
    )


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def contest(wanted, journal, *methods, calls=400, seeds=2, **options):
    work = partial(contested, wanted=ContestPlan(methods=methods, calls=calls, seeds=seeds, **options))
    return execute(wanted, journal, work=work)


def test_methods_are_ranked_by_validation_and_the_test_split_is_opened_once(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = contest(wanted, journal, "labeled_few_shot", "promptgrad")
    first, last = summary.contest.standings
    # The desk follows rules and reads no demonstrations.
    assert (first.method, last.method) == ("promptgrad", "labeled_few_shot")
    assert first.validation.score > 0.9 > 0.6 > last.validation.score
    assert (first.place, last.place, last.calls, last.demonstrations) == (1, 2, 0, 12)
    assert len(events(journal, wanted.run, TestOpened)) == 1
    lanes = events(journal, wanted.run, LaneFinished)
    assert [(lane.method, lane.number) for lane in lanes] == [
        ("labeled_few_shot", 1),
        ("promptgrad", 1),
        ("labeled_few_shot", 2),
        ("promptgrad", 2),
    ]
    assert all(lane.calls <= 400 for lane in lanes)
    assert summary.status == "improved"
    assert (summary.baseline.test.n, summary.optimized.test.score) == (80, 1.0)


def test_intervals_hold_for_all_comparisons_together(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = contest(wanted, journal, "labeled_few_shot", "promptgrad", seeds=1)
    assert summary.contest.comparisons == 3, "two over the project's program, one over the first"
    first, last = summary.contest.standings
    measured = load_measurement(first.artifact).tested
    before, after = [one.baseline for one in measured], [one.optimized for one in measured]
    assert first.gain == gain_interval(before, after, comparisons=3)
    alone = gain_interval(before, after)
    assert first.gain.low < alone.low < alone.score < alone.high < first.gain.high
    assert first.behind is None
    assert last.behind == gain_interval(after, before, comparisons=3)
    assert first.test == mean_interval(after)


def test_every_method_is_saved_as_an_artifact_of_the_ordinary_kind(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = contest(wanted, journal, "labeled_few_shot", "promptgrad", seeds=1)
    rules, shown = (standing.artifact for standing in summary.contest.standings)
    revision = wanted.models.task.revision
    assert learned(load_artifact(rules, desk_program(), revision).signature.instructions) == set(POLICY)
    assert len(load_artifact(shown, desk_program(), revision).demos) == 12
    assert summary.artifact == rules
    manifest = load_manifest(shown)
    assert (manifest.details["method"], manifest.details["contest"]) == ("labeled_few_shot", wanted.run)
    assert {rule.trigger for rule in load_manifest(rules).rules} == set(POLICY)


def test_demonstrations_that_are_picked_for_each_input_are_saved_as_they_were_measured(tmp_path, journal):
    model = scripted_model(Clerk())
    wanted = plan(tmp_path, journal, model=model)
    summary = contest(wanted, journal, "knn_few_shot", "labeled_few_shot", calls=10, seeds=1)
    first, last = summary.contest.standings
    assert (first.method, first.calls) == ("knn_few_shot", 0)
    assert first.validation.score > last.validation.score
    manifest = load_manifest(first.artifact)
    assert manifest.conditional_demonstrations == 12
    assert len(manifest.demonstrations) == first.demonstrations == len(wanted.train)
    program = load_artifact(first.artifact, desk_program(), wanted.models.task.revision)
    asked = {repr((one.system, one.messages)) for one in model.requests}
    served = scripted_model(Clerk())
    with dspy.context(lm=served.lm, adapter=dspy.JSONAdapter()):
        for example in wanted.test:
            program(ticket=example.values["ticket"])
    assert {repr((one.system, one.messages)) for one in served.requests} <= asked


def test_no_method_asks_more_than_its_budget(tmp_path, journal):
    model = scripted_model(Clerk())
    wanted = plan(tmp_path, journal, model=model, test=0)
    methods = ("ape", "opro", "bootstrap_random_search")
    summary = contest(wanted, journal, *methods, calls=150, seeds=1)
    assert all(lane.calls <= 150 for lane in events(journal, wanted.run, LaneFinished))
    # Beyond the budgets: the baseline, and what each method made, on validation.
    assert len(model.requests) <= 3 * 150 + 4 * 60
    assert summary.calls == len(model.requests)
    assert summary.contest.standings[0].test is None


def test_a_method_without_a_result_does_not_end_the_contest(tmp_path, journal):
    summary = contest(plan(tmp_path, journal), journal, "mipro_v2", "promptgrad", calls=180, seeds=1)
    first, last = summary.contest.standings
    assert (first.method, last.method, last.place, last.validation) == ("promptgrad", "mipro_v2", None, None)
    assert "at least 198" in last.problem


def test_prompts_that_are_too_long_disqualify_a_method_and_no_other(tmp_path, journal):
    wanted = replace(plan(tmp_path, journal), models=cramped(200))
    summary = contest(wanted, journal, "labeled_few_shot", "promptgrad", seeds=1)
    first, last = summary.contest.standings
    assert (summary.status, first.method, last.place) == ("improved", "promptgrad", None)
    assert "is too long" in last.problem


def test_a_method_that_fails_on_the_test_split_is_ranked_no_more(tmp_path, journal):
    long = loaded([*tickets(79, 3), {"ticket": "late " * 150, "queue": "general"}], tmp_path, "test")
    wanted = replace(plan(tmp_path, journal), models=cramped(350), test=long)
    summary = contest(wanted, journal, "labeled_few_shot", "promptgrad", seeds=1)
    first, last = summary.contest.standings
    assert (summary.status, first.method, first.test.n, first.place) == ("improved", "promptgrad", 80, 1)
    assert (last.place, last.test, last.artifact) == (None, None, None)
    assert "is too long" in last.problem
    lanes = events(journal, wanted.run, LaneFinished)
    assert all(lane.validation for lane in lanes), "on validation every prompt was short enough"


def test_the_test_split_stays_closed_if_no_method_has_a_result(tmp_path, journal):
    wanted = plan(tmp_path, journal)
    summary = contest(wanted, journal, "mipro_v2", calls=180, seeds=1)
    assert (summary.status, summary.artifact, summary.test_opening) == ("no_improvement", None, 0)
    assert events(journal, wanted.run, TestOpened) == []


def test_a_contest_that_was_stopped_pays_for_nothing_twice(tmp_path, journal):
    def run(folder, stop_after=None):
        clerk, calls = Clerk(), 0
        with Journal.open(journal_path(folder)) as own:
            wanted = plan(folder, own, model=scripted_model(clerk))

            def answer(messages):
                nonlocal calls
                calls += 1
                if calls == stop_after:
                    own.send_command(wanted.run, "stop")
                return clerk(messages)

            model = scripted_model(answer)
            wanted = replace(wanted, models=replace(wanted.models, task=model, reflection=model))
            first = contest(wanted, own, "ape", "bootstrap_random_search", calls=300, seeds=1)
            if stop_after:
                assert first.status == "stopped"
                first = contest(wanted, own, "ape", "bootstrap_random_search", calls=300, seeds=1)
            return first, model.requests

    whole, _ = run(tmp_path / "whole")
    resumed, requests = run(tmp_path / "resumed", stop_after=150)
    asked = [repr((request.system, request.messages, request.config)) for request in requests]
    assert len(set(asked)) == len(asked)

    def table(summary):
        return [one.model_dump(exclude={"artifact"}) for one in summary.contest.standings]

    assert table(resumed) == table(whole)


def test_minutes_become_calls_by_the_measured_pace(tmp_path, journal):
    wanted = plan(tmp_path, journal, test=0)
    work = partial(contested, wanted=ContestPlan(methods=("labeled_few_shot",), minutes=0.5, seeds=1))
    execute(wanted, journal, work=work)
    (begun,) = events(journal, wanted.run, ContestStarted)
    assert begun.seconds_per_call > 0
    assert begun.calls == int(30 / begun.seconds_per_call)
    assert desk_model().requests == []

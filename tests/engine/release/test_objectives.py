"""The smallest set of rules and demonstrations that is no worse than the best, on the scripted desk."""

from __future__ import annotations

from contextlib import closing
from functools import cache

import pytest

from engine import PromptGradConfig, PromptGradOptimizer
from engine.ground.errors import ConfigError
from engine.ground.statistics import mean_interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.completions import MemoryCompletions
from engine.journal.events import Event, ProgressEstimated, RunSummary
from engine.journal.journal import Journal, journal_path
from engine.journal.objective_events import ObjectivesMet
from engine.journal.replay import Replay
from engine.learning.loop_states import Optimized
from engine.learning.optimizer import OptimizationSession
from engine.learning.session_inputs import SessionExamples, SessionModels
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.objectives import Objectives
from engine.release.manifest import load_manifest
from engine.release.objectives.margin import margin_for
from engine.release.objectives.slimming import slimmed
from engine.release.objectives.thinning import most_questions, thinned
from engine.release.run import execute
from tests.engine.desk import POLICY, desk_model, desk_program, exact, tickets
from tests.engine.release.test_run import plan

N = 30
VALIDATION = tickets(N, 2)
NEEDED = [
    Rule(text=f"Tickets that mention {phrase} go to {queue}.")
    for phrase, queue in POLICY.items()
    if any(phrase in one["ticket"] for one in VALIDATION)
]
USELESS = [Rule(text=f"Tickets that mention {phrase} go to nowhere.") for phrase in ("mole", "owl", "elk")]
SHOWN = [
    Demonstration(inputs={"ticket": f"shown {n}"}, outputs={"queue": "general"}, example=f"shown {n}")
    for n in range(3)
]
BEST = LearnedState(RuleSet([*USELESS[:1], *NEEDED, *USELESS[1:]]), DemonstrationSet(SHOWN))


def searched(wanted: Objectives, max_calls: int | None = None) -> tuple[Optimized, list[Event]]:
    events: list[Event] = []
    replay = Replay(MemoryCompletions(), "test", max_calls=max_calls)
    session = OptimizationSession(
        PromptGradOptimizer(exact, PromptGradConfig(seed=1, verbose=False)),
        desk_program(),
        SessionExamples(tickets(10, 1), VALIDATION),
        SessionModels(replay.lm(desk_model())),
    )
    with closing(session):
        best = mean_interval([one.score.value for one in session.runner.run(BEST, session.validation)])
        layers = LayersCompared(id="layers", base=best, both=best, rules_only=None, demonstrations_only=None)
        result = Optimized(BEST, best, best, "done", layers=layers)
        return slimmed(session, result, wanted, events.append), events


def met_by(events: list[Event]) -> ObjectivesMet:
    (met,) = [event for event in events if isinstance(event, ObjectivesMet)]
    return met


@cache
def slim(**wanted: float) -> tuple[Optimized, ObjectivesMet]:
    found, events = searched(Objectives(**wanted))
    return found, met_by(events)


def test_what_is_not_missed_goes_and_what_is_needed_stays() -> None:
    found, met = slim(margin=0.12)
    assert {rule.text for rule in found.rules} == {rule.text for rule in NEEDED}
    assert len(found.state.demonstrations) == 0
    assert (met.before.rules, met.before.demonstrations) == (len(NEEDED) + 3, 3)
    assert (met.after.rules, met.after.demonstrations) == (len(NEEDED), 0)
    assert met.after.prompt_tokens < met.before.prompt_tokens
    assert (met.gain.score, met.is_shown, met.missed) == (0.0, True, ())
    assert met.gain.low == pytest.approx(-(1 - 0.025 ** (1 / N)))


def test_a_limit_is_met_even_where_it_costs_score() -> None:
    free, _ = slim(margin=0.12)
    found, met = slim(max_prompt_tokens=slim(margin=0.12)[1].after.prompt_tokens - 15)
    assert len(found.rules) == len(free.rules) - 2, "a rule has eight words with its dash"
    assert met.gain.score < 0
    assert (met.is_shown, met.missed) == (False, ())


def test_a_limit_that_no_set_meets_is_named() -> None:
    found, met = slim(max_prompt_tokens=5)
    assert not found.state
    assert met.missed == ("max_prompt_tokens",)


def test_half_of_what_is_too_much_goes_in_one_round() -> None:
    _, events = searched(Objectives(max_prompt_tokens=5))
    rounds = [event for event in events if isinstance(event, ProgressEstimated) and "/fit/" in event.id]
    # What is needed can't stay either: 5 rules, then 3, 2 and 1 are tried alone, and what is left of them.
    assert len(NEEDED) == 5
    assert [event.expected - event.done for event in rounds] == [6 * N, 4 * N, 3 * N, 2 * N]


@pytest.mark.parametrize("limit", [{}, {"max_latency_ms": 1000.0}], ids=["margin", "latency"])
def test_a_budget_that_ends_within_the_search_keeps_what_was_shown(limit: dict[str, float]) -> None:
    # The best state and the one without demonstrations take N calls each; rules are tested with the rest.
    found, events = searched(Objectives(margin=0.12, **limit), max_calls=2 * N + 15)
    met = met_by(events)
    assert (len(found.state.demonstrations), len(found.rules)) == (0, len(BEST.rules))
    assert (met.is_shown, met.after.demonstrations, met.after.latency_ms) == (True, 0, None)
    assert found.layers is None, "there was no call left to compare them"


def test_a_run_whose_budget_ends_within_the_search_is_proved(tmp_path) -> None:
    config = {"epochs": 1}
    with Journal.open(journal_path(tmp_path / "whole")) as journal:
        whole = execute(plan(tmp_path / "whole", journal, config=config), journal)
    with Journal.open(journal_path(tmp_path / "short")) as journal:
        limited = {"config": config, "objectives": Objectives(margin=0.07), "max_calls": whole.calls + 20}
        summary = execute(plan(tmp_path / "short", journal, **limited), journal)
    assert (summary.status, summary.optimized.test.n) == ("improved", 80)
    assert load_manifest(summary.artifact).rules
    assert summary.objectives is not None


def test_a_margin_that_cannot_be_shown_is_refused_before_the_search(tmp_path) -> None:
    model = desk_model()
    with Journal.open(journal_path(tmp_path)) as journal:
        wanted = plan(tmp_path, journal, model=model, objectives=Objectives(margin=0.02))
        with pytest.raises(ConfigError, match="can't be shown on 60 examples"):
            execute(wanted, journal)
    assert model.requests == []


def test_a_margin_that_the_data_can_not_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be shown on 30 examples"):
        slim(margin=0.02)
    assert margin_for(60, None, "margin") == pytest.approx(0.0596, abs=1e-4)
    assert margin_for(1000, None, "margin") == 0.02


def test_few_questions_are_asked_where_everything_may_go() -> None:
    asked: list[list[int]] = []

    def may_go(rest: list[int]) -> bool:
        asked.append(rest)
        return 3 in rest

    assert thinned(range(8), may_go) == [3]
    assert len(asked) <= 8
    assert thinned([], may_go) == []


@pytest.mark.parametrize("smallest", [1, 3])
def test_as_many_questions_as_there_can_be_are_asked_where_nothing_may_go(smallest: int) -> None:
    for n in range(40):
        asked: list[object] = []
        thinned(range(n), lambda rest, asked=asked: bool(asked.append(rest)), smallest)
        assert len(asked) == most_questions(n, smallest)


def test_a_run_saves_the_smaller_set(tmp_path) -> None:
    def summary_with(journal: Journal, **wanted: float) -> RunSummary:
        objectives = Objectives(**wanted)
        return execute(plan(tmp_path, journal, config={"epochs": 1}, objectives=objectives), journal)

    with Journal.open(journal_path(tmp_path)) as journal:
        whole = summary_with(journal, margin=0.07)
        limit = whole.objectives.after.prompt_tokens - 10
        summary = summary_with(journal, max_prompt_tokens=limit)
    met = summary.objectives
    assert met.after.prompt_tokens <= limit < met.before.prompt_tokens
    assert len(load_manifest(summary.artifact).rules) == len(summary.rules) == met.after.rules
    assert met.after.rules < len(whole.rules)
    before = whole.optimized.validation.score
    assert summary.optimized.validation.score == pytest.approx(before + met.gain.score)

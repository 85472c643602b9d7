"""The paired test of a set keeps its level, whatever chose the set, and says what it saw."""

from __future__ import annotations

from math import log
from random import Random
from types import SimpleNamespace

import pytest

from engine.ground.examples import Item
from engine.ground.score import Score
from engine.learning.layer_tests import LayerChange, LayerTester
from engine.learning.place import Place
from engine.learning.screening.race import race, screening_result
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

BASE = LearnedState()
VALIDATION = [Item(f"v{n}", "validation", {}, {}) for n in range(40)]
TRAIN = [Item(f"t{n}", "train", {}, {}) for n in range(24)]


def candidate(name: str) -> LearnedState:
    return LearnedState(RuleSet([Rule(text=f"{name}, first"), Rule(text=f"{name}, second")]))


class Scores:
    """A runner whose scores are drawn: a chance for each state, the same for the same example."""

    def __init__(self, seed: int, chances: dict[str, float], usual: float = 0.6) -> None:
        self._seed, self._chances, self._usual = seed, chances, usual

    def run(self, state, items):
        chance = self._chances.get(state.digest, self._usual)
        return [SimpleNamespace(score=Score(float(self._draw(state, item) < chance), True)) for item in items]

    def _draw(self, state, item):
        return Random(f"{self._seed}/{state.digest}/{item.key}").random()

    def is_known(self, state, item):
        return state == BASE


class ScoresAsSignal:
    name = "score"
    asked = 0

    def __init__(self, scores: Scores) -> None:
        self._scores = scores

    def values(self, state, items):
        return [rollout.score.value for rollout in self._scores.run(state, items)]

    def covers(self, item):
        return True


def put_to_test(scores: Scores, after: LearnedState, action="add", **config):
    events = []
    tester = LayerTester(scores, VALIDATION, PromptGradConfig(**config), seed=1, emit=events.append)
    before, after = (BASE, after) if action == "add" else (after, BASE)
    return tester.test(LayerChange("rules", action, "topics", "a set", before, after, Place(1, 1))), events


def test_useless_sets_pass_in_at_most_one_of_twenty_runs_though_screening_chose_them():
    runs, accepted = 200, 0
    names = [candidate(f"set {number}") for number in range(5)]
    for seed in range(runs):
        scores = Scores(seed, {})
        standings = race(names, BASE, TRAIN, ScoresAsSignal(scores))
        best = max(standings, key=lambda found: found.gain).state
        result, _ = put_to_test(scores, best, rule_validation_mode="auto")
        accepted += result.is_accepted
    assert accepted <= runs * 0.05


def test_a_set_that_helps_is_accepted_with_its_evidence_on_each_rule():
    good = candidate("good")
    result, (started, finished) = put_to_test(
        Scores(1, {good.digest: 1.0}), good, rule_validation_mode="auto"
    )
    assert result.verdict == "accepted"
    assert result.evidence.low > 0
    assert result.evidence.calls == len(VALIDATION)
    assert [rule.evidence for rule in result.state.rules] == [result.evidence] * 2
    assert started.n == len(VALIDATION)
    assert len(finished.fixed) == round(result.evidence.delta * len(VALIDATION))


@pytest.mark.parametrize(("chance", "verdict"), [(0.2, "accepted"), (1.0, "rejected")])
def test_what_is_left_out_goes_only_if_it_is_not_missed(chance, verdict):
    held = candidate("held")
    result, _ = put_to_test(Scores(1, {held.digest: chance}), held, action="remove")
    assert result.verdict == verdict


def test_a_race_drops_what_is_hopeless_early_and_lets_finalists_see_everything():
    good, bad = candidate("good"), candidate("bad")
    signal = ScoresAsSignal(Scores(1, {good.digest: 1.0, bad.digest: 0.0}))
    first, second = race([bad, good], BASE, TRAIN, signal, first=6)
    assert (first.is_finalist, first.n, first.is_promising) == (False, 6, False)
    assert (second.is_finalist, second.n, second.is_promising) == (True, len(TRAIN), True)
    assert second.gain == screening_result(good, BASE, TRAIN, signal).gain > 0


class Likely:
    """A likelihood that gives the right answer one probability for each state, give or take a little."""

    def __init__(self, chances: dict[str, float]) -> None:
        self._chances = chances

    def of(self, state, items):
        return [
            SimpleNamespace(of_right=log(self._chances[state.digest] + (number % 5 - 2) / 50))
            for number, _ in enumerate(items)
        ]


def graded(after: LearnedState, gain: int, likelier: float):
    """Test a set that gains so many right answers, and whose right ones get the probability `likelier`."""
    seed = next(
        seed
        for seed in range(1000)
        if sum(put_to_test(Scores(seed, {after.digest: 0.6}), after)[0].evidence.deltas.values()) == gain
    )
    events = []
    tester = LayerTester(
        Scores(seed, {after.digest: 0.6}),
        VALIDATION,
        PromptGradConfig(),
        seed=1,
        emit=events.append,
        likelihood=Likely({BASE.digest: 0.5, after.digest: likelier}),
    )
    return tester.test(LayerChange("rules", "add", "topics", "a set", BASE, after, Place(1, 1)))


@pytest.mark.parametrize(
    ("gain", "likelier", "verdict"),
    [
        (2, 0.55, "accepted"),
        (2, 0.5, "rejected"),
        (-1, 0.55, "accepted"),
        (-1, 0.45, "rejected"),
    ],
)
def test_where_the_score_cannot_tell_the_likelihood_decides(gain, likelier, verdict):
    result = graded(candidate("after"), gain, likelier)
    assert result.verdict == verdict
    assert result.evidence.likelihood.score == pytest.approx(likelier - 0.5)
    assert "the score can't tell" in result.reason


@pytest.mark.parametrize(("gain", "verdict"), [(12, "accepted"), (-8, "rejected")])
def test_where_the_score_tells_nothing_else_is_asked(gain, verdict):
    result = graded(candidate("after"), gain, 0.5)
    assert result.verdict == verdict
    assert result.evidence.likelihood is None


def test_a_removal_is_judged_by_the_score_alone():
    held = candidate("held")
    scores = Scores(1, {held.digest: 0.2})
    likely = Likely({})
    tester = LayerTester(
        scores, VALIDATION, PromptGradConfig(), seed=1, emit=lambda event: None, likelihood=likely
    )
    result = tester.test(LayerChange("rules", "remove", "topics", "a set", held, BASE, Place(1, 1)))
    assert result.verdict == "accepted"
    assert result.evidence.likelihood is None


def test_where_examples_are_many_a_sample_of_all_of_them_is_asked():
    many = [Item(f"v{n}", "validation", {}, {}) for n in range(400)]
    keys = []
    for seed in (1, 1, 2):
        tester = LayerTester(Scores(0, {}), many, PromptGradConfig(), seed=seed, emit=lambda event: None)
        change = LayerChange("rules", "add", "topics", "a set", BASE, candidate("late"), Place(1, 1))
        keys.append(list(tester.test(change).evidence.deltas))
    first, again, other = keys
    assert first == again
    assert first != other
    assert len(first) == 120
    assert {int(key[1:]) // 100 for key in first} == {0, 1, 2, 3}, "the file may be sorted"

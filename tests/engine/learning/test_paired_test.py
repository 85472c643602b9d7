"""A paired test may stop early to reject, never to accept, and then says so."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from engine.ground.examples import Item
from engine.ground.score import Score
from engine.learning.layer_tests import LayerChange, LayerTester
from engine.learning.place import Place
from engine.learning.rule_tests import Change, RuleTester
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

BASE = LearnedState()
RULE = Rule(text="A rule.", trigger="word")
AFTER = BASE.adding(RULE)


def validation(n: int, triggered: int = 0) -> list[Item]:
    return [
        Item(str(number), "validation", {}, {"text": "word" if number < triggered else "other"})
        for number in range(n)
    ]


class Runner:
    """Gives fixed scores without and with the rule, and remembers what was asked of the state with it."""

    def __init__(self, before: list[float], after: list[float], *, knows_base: bool = True) -> None:
        self._scores = {BASE.digest: before, AFTER.digest: after}
        self._known = {(BASE.digest, str(n)) for n in range(len(before))} if knows_base else set()
        self.asked: list[str] = []

    def run(self, state, items):
        new = [item.key for item in items if not self.is_known(state, item)]
        self.asked += new if state == AFTER else []
        self._known |= {(state.digest, key) for key in new}
        scores = self._scores[state.digest]
        return [SimpleNamespace(score=Score(scores[int(item.key)], True)) for item in items]

    def is_known(self, state, item):
        return (state.digest, item.key) in self._known


def put_to_test(runner: Runner, n: int, action="add", *, stops=True, **config):
    settings = PromptGradConfig(futility_stopping=stops, **config)
    tester = LayerTester(runner, validation(n), settings, seed=1, emit=lambda event: None)
    before, after = (BASE, AFTER) if action == "add" else (AFTER, BASE)
    return tester.test(LayerChange("rules", action, "topics", "a set", before, after, Place(1, 1)))


def test_a_harmful_change_stops_at_the_first_look_and_says_what_that_saved():
    runner = Runner([1.0, 1.0, 0.0] * 20, [0.0] * 60)
    result = put_to_test(runner, 60)
    assert result.verdict == "rejected"
    assert result.reason.startswith("stopped after 24 of 60 examples: the others")
    assert result.reason.endswith("change that the gain is below 0.01")
    assert len(runner.asked) == len(set(runner.asked)) == len(result.evidence.deltas) == 24
    evidence = result.evidence
    assert (evidence.n, evidence.calls, evidence.left_out, evidence.saved_calls) == (24, 24, 36, 36)
    assert evidence.high < 0


def test_what_is_asked_first_is_drawn_from_all_examples_and_alike_for_all_tests_of_an_epoch():
    first, second = (Runner([1.0] * 60, [score] * 60) for score in (0.0, 0.5))
    put_to_test(first, 60)
    put_to_test(second, 60)
    assert set(first.asked) == set(second.asked) != {str(number) for number in range(24)}


def test_a_change_that_can_no_longer_be_kept_stops_though_its_interval_is_wide():
    """Without the rule, all but one answer are right: nothing can make up for two that broke."""
    before, after = [1.0] * 59 + [0.0], [0.0, 0.0] + [1.0] * 58
    result = put_to_test(Runner(before, after), 60, action="add")
    assert result.evidence.left_out > 0
    assert result.evidence.high > 0.01
    assert "the others can't change that the gain is below 0.01" in result.reason


def test_what_is_not_known_without_the_change_may_still_be_fixed():
    before, after = [1.0] * 59 + [0.0], [0.0, 0.0] + [1.0] * 58
    result = put_to_test(Runner(before, after, knows_base=False), 60)
    assert "can't" not in result.reason


@pytest.mark.parametrize("mode", ["delta", "auto"])
@pytest.mark.parametrize("action", ["add", "remove"])
def test_stopping_only_ever_turns_a_verdict_into_a_rejection_and_leaves_the_others_as_they_are(mode, action):
    stopped = 0
    for seed in range(40):
        rng = Random(seed)
        chances = rng.random(), rng.random()
        scores = [[float(rng.random() < chance) for _ in range(50)] for chance in chances]
        full = put_to_test(Runner(*scores), 50, action, stops=False, rule_validation_mode=mode)
        result = put_to_test(Runner(*scores), 50, action, rule_validation_mode=mode)
        if result.evidence.left_out:
            assert (full.verdict, result.verdict) == ("rejected", "rejected")
            stopped += 1
        else:
            assert (result.verdict, result.reason, result.evidence) == (
                full.verdict,
                full.reason,
                full.evidence,
            )
    assert stopped >= 10


def test_in_auto_mode_it_goes_on_while_a_person_may_have_to_decide():
    """Ten fixed and nine broken prove nothing, but a gain of 0.0125 is put to a person."""
    before = [0.0] * 10 + [1.0] * 9 + [1.0] * 61
    after = [1.0] * 10 + [0.0] * 9 + [1.0] * 61
    result = put_to_test(Runner(before, after), 80, rule_validation_mode="auto")
    assert (result.verdict, result.evidence.left_out) == ("needs_review", 0)


def test_a_small_test_takes_no_look():
    result = put_to_test(Runner([1.0] * 29, [0.0] * 29), 29)
    assert (result.evidence.n, result.reason) == (29, "the gain is below 0.01")


def test_without_the_setting_all_examples_are_asked():
    result = put_to_test(Runner([1.0] * 60, [0.0] * 60), 60, stops=False)
    assert (result.evidence.n, result.evidence.left_out) == (60, 0)


@pytest.mark.parametrize(("is_persons", "n"), [(False, 16), (True, 40)])
def test_a_rule_that_a_person_wrote_is_tested_in_full(is_persons, n):
    runner = Runner([1.0] * 60, [0.0] * 60)
    config = PromptGradConfig(futility_stopping=True, rule_validation_examples=40)
    tester = RuleTester(runner, validation(60, triggered=10), config, seed=1, emit=lambda event: None)
    tested = tester.test(Change("add", RULE, BASE, AFTER, Place(1, 1), is_persons=is_persons))
    assert (tested.verdict, tested.evidence.n) == ("rejected", n)
    fired = {str(number) for number in range(10)} & set(tested.evidence.deltas)
    assert len(fired) == (10 if is_persons else 4), "each stratum has the same share in a look"


def test_a_removal_stops_when_the_rule_is_missed():
    after_is_better = Runner([0.0] * 60, [1.0] * 60)
    result = put_to_test(after_is_better, 60, "remove")
    assert result.verdict == "rejected"
    assert "change that the score falls without it" in result.reason


def test_a_merged_rule_that_does_worse_stops():
    merged = Rule(text="A rule.", trigger="word")
    before = LearnedState(RuleSet())
    config = PromptGradConfig(futility_stopping=True, rule_validation_examples=60)
    runner = Runner([1.0] * 60, [0.0] * 60)
    tester = RuleTester(runner, validation(60), config, seed=1, emit=lambda event: None)
    tested = tester.test(Change("merge", merged, before, AFTER, Place(1, 1)))
    assert tested.reason == (
        "stopped after 24 of 60 examples: the others can't change that the merged rule does worse"
    )

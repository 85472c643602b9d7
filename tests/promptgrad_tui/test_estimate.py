import pytest

from engine.config import PromptGradConfig
from promptgrad_tui.estimate import Measured, expected_cost, planned_calls


def planned(predictors=1, train=60, validation=60, test=120, **config):
    return planned_calls(
        PromptGradConfig(**config), train=train, validation=validation, test=test, predictors=predictors
    )


def test_analyses_are_passes_times_batches():
    assert planned(epochs=2, batches_per_epoch=4, gradient_samples=3).analyses == 24
    assert planned(epochs=2, batches_per_epoch=4, gradient_consensus=False).analyses == 8


def test_the_bound_by_hand():
    calls = planned(epochs=1, batches_per_epoch=1, max_local_rules=2)
    # baseline and epoch, a batch, five tests of two sides, the test split twice, three analyses, one merge
    assert calls.bound == 60 + 60 + 10 + 5 * 2 * 15 + 2 * 120 + 3 + 1
    assert calls.proposals == 5


def test_without_tests_of_rules_the_bound_has_none():
    tested, untested = planned(max_local_rules=1), planned(max_local_rules=1, validate_rules=False)
    assert tested.bound - untested.bound == 9 * 5 * 2 * 15


def test_greedy_selection_may_test_again_what_is_left():
    default, greedy = planned(), planned(rule_selection_mode="greedy")
    assert greedy.bound - default.bound == 9 * (15 - 5) * 2 * 15


def test_small_splits_bound_batches_and_subsets():
    small = planned(train=4, validation=6, test=0, epochs=1, batches_per_epoch=1, max_local_rules=1)
    assert small.bound == 6 + 6 + 4 + 5 * 2 * 6 + 3


@pytest.mark.parametrize("predictors", [1, 3])
@pytest.mark.parametrize("mode", ["default", "greedy"])
def test_what_is_expected_lies_below_the_bound(predictors, mode):
    calls = planned(predictors, rule_selection_mode=mode)
    assert 0 < calls.expected < calls.bound


def test_each_predictor_is_a_call():
    one, two = planned(1), planned(2)
    assert two.expected - two.analyses == 2 * (one.expected - one.analyses)


def test_cost_grows_with_the_measured_rate():
    calls = planned()
    fast = Measured(calls=8, seconds=1.0, prompt_tokens=200, completion_tokens=10)
    slow = Measured(calls=8, seconds=3.0, prompt_tokens=200, completion_tokens=10)
    assert expected_cost(calls, slow, 900).seconds == pytest.approx(
        3 * expected_cost(calls, fast, 900).seconds
    )
    others = calls.expected - calls.analyses
    assert expected_cost(calls, fast, 900).tokens == others * 210 + calls.analyses * 1050
    assert expected_cost(calls, fast, 900).seconds > others / 8

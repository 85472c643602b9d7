import pytest

from engine.project.config import PromptGradConfig
from promptgrad_tui.views.estimate import Measured, calls_text, cost_text, picked_text, range_text
from promptgrad_tui.work.check.estimate import Sizes, costs, expected_cost, planned_calls, project_calls
from promptgrad_tui.work.opening import open_project
from tests.promptgrad_tui.desk_project import write_project


def planned(predictors=1, train=60, validation=60, test=120, also=0, is_timed=False, **config):
    sizes = Sizes(train=train, validation=validation, test=test, predictors=predictors, also=also)
    return planned_calls(PromptGradConfig(**config), sizes, is_timed=is_timed)


def test_analyses_are_passes_times_batches():
    assert planned(epochs=2, batches_per_epoch=4, gradient_samples=3).many_analyses == 24
    assert planned(epochs=2, batches_per_epoch=4, gradient_consensus=False).many_analyses == 8
    assert planned(epochs=2, batches_per_epoch=4, gradient_samples=3).few_analyses == 3


def test_the_plan_by_hand():
    calls = planned(epochs=2, batches_per_epoch=2)
    # what every run takes, then for each failing batch three tests of a side and a half
    common = 60 + 4 * 10 + 2 * 120
    assert calls.few == common + 22 + 60 + 3
    assert calls.many == common + 4 * 68 + 2 * 60 + 4 * 3
    assert calls.least == 60 + 10 + 120


def test_what_was_answered_with_the_same_rules_is_not_asked_again():
    small, large = planned(train=20), planned(train=500)
    assert (large.few - small.few, large.many - small.many) == (80 - 20, 0)


def test_the_bound_by_hand():
    calls = planned(epochs=1, batches_per_epoch=1)
    # baseline and epoch, a batch, five tests of two sides, the test split twice, three analyses
    assert calls.most == 60 + 60 + 10 + 5 * 2 * 15 + 2 * 120 + 3
    assert calls.proposals == 5


def test_the_bound_counts_merges_and_their_tests():
    few, many = planned(merge_threshold=45), planned(merge_threshold=44)
    # with five proposals a batch there may be 45 rules in the last of nine batches, and ten groups of them
    assert many.most - few.most == 10 * (1 + 2 * 15)


def test_without_tests_of_rules_the_bound_has_none():
    tested = planned(merge_threshold=99)
    untested = planned(merge_threshold=99, validate_rules=False)
    assert tested.most - untested.most == 9 * 5 * 2 * 15


def test_greedy_selection_may_test_again_what_is_left():
    default = planned(merge_threshold=99)
    greedy = planned(merge_threshold=99, rule_selection_mode="greedy")
    assert greedy.most - default.most == 9 * (15 - 5) * 2 * 15


def test_small_splits_bound_batches_and_subsets():
    small = planned(train=4, validation=6, test=0, epochs=1, batches_per_epoch=1)
    assert small.most == 6 + 6 + 4 + 5 * 2 * 6 + 3


def test_examples_that_gates_name_and_time_are_counted():
    plain, more = planned(), planned(also=3)
    assert (more.many - plain.many, more.least - plain.least) == (6, 3)
    assert planned(is_timed=True).many - plain.many == 101
    assert planned(test=40, is_timed=True).many - planned(test=40).many == 40


@pytest.mark.parametrize("predictors", [1, 3])
@pytest.mark.parametrize("mode", ["default", "greedy"])
@pytest.mark.parametrize("epochs", [1, 4])
def test_the_figures_are_in_order(predictors, mode, epochs):
    calls = planned(predictors, rule_selection_mode=mode, epochs=epochs)
    assert 0 < calls.least < calls.few < calls.many < calls.most


def test_each_predictor_is_a_call():
    one, two = planned(1), planned(2)
    assert two.many - two.many_analyses == 2 * (one.many - one.many_analyses)
    assert two.few - two.few_analyses == 2 * (one.few - one.few_analyses)
    assert two.least == 2 * one.least


def test_cost_grows_with_the_measured_rate():
    fast = Measured(calls=8, seconds=1.0, prompt_tokens=200, completion_tokens=10)
    slow = Measured(calls=8, seconds=3.0, prompt_tokens=200, completion_tokens=10)
    cost = expected_cost(1000, 27, fast, 900)
    assert expected_cost(1000, 27, slow, 900).seconds == pytest.approx(3 * cost.seconds)
    assert cost.tokens == 973 * 210 + 27 * 1050
    assert cost.seconds > 1000 / 8


def test_demonstrations_that_no_prompts_share_are_read_in_every_call_but_an_analysis():
    measured = Measured(calls=8, seconds=1.0, prompt_tokens=160, completion_tokens=10)
    plain, picked = (expected_cost(1000, 27, measured, 900, tokens) for tokens in (0, 400))
    assert picked.tokens - plain.tokens == 973 * 400
    assert picked.seconds - plain.seconds == pytest.approx(973 / 8 * 400 / (160 + 4 * 10))
    assert "every call reads 410 tokens" in picked_text(12, 412)


def test_a_range_is_as_rough_as_it_is_known():
    assert range_text(521, 1209) == "520 to 1,200"
    assert range_text(98, 101) == "98 to 100"
    assert range_text(1204, 1209) == "about 1,200"


def test_the_estimate_in_words():
    calls = planned()
    assert "460 to 1,200 calls" in calls_text(calls)
    assert f"at least 190, and at most {calls.most:,}" in calls_text(calls)
    measured = Measured(calls=8, seconds=0.4, prompt_tokens=150, completion_tokens=12)
    few, many = costs(calls, measured, 900)
    text = cost_text(few, many, measured)
    assert text.startswith("76,000 to 220,000 tokens and about 20 s to 1 min")


def test_judgements_are_calls_too_but_equal_answers_are_judged_once() -> None:
    config = PromptGradConfig(epochs=1, batches_per_epoch=1, batch_size=4)
    plain = planned_calls(config, Sizes(train=10, validation=5, test=5))
    judged = planned_calls(config, Sizes(train=10, validation=5, test=5, judgements=2))
    assert judged.least == plain.least
    assert judged.few - judged.few_analyses == 3 * (plain.few - plain.few_analyses)
    assert judged.most > 2 * plain.most


def test_a_base_is_made_and_compared_with_calls_too(tmp_path) -> None:
    folder, sizes = write_project(tmp_path, "demo"), Sizes(train=30, validation=30, test=30)
    base = {"base.optimizer": '"ape"', "base.calls": "100"}
    plain, based = (project_calls(open_project(folder, given), sizes) for given in ({}, base))
    assert (based.few - plain.few, based.many - plain.many, based.most - plain.most) == (130, 130, 130)
    assert based.least - plain.least == 30, "an optimizer may use less than it was given"
    assert calls_text(based).endswith("; up to 130 of them make the base")
    asks_nothing = project_calls(open_project(folder, {"base.optimizer": '"labeled_few_shot"'}), sizes)
    assert asks_nothing.most - plain.most == 30


def test_what_a_search_model_answers_takes_its_time() -> None:
    config = PromptGradConfig(epochs=2, batches_per_epoch=2)
    sizes = Sizes(train=60, validation=60, test=120)
    alone = planned_calls(config, sizes)
    calls = planned_calls(config, sizes, has_search_model=True)
    # the task's model answers the baseline, the ends of the epochs, the test and the dozen that is compared
    assert (calls.few_proved, calls.many_proved) == (60 + 60 + 240 + 12, 60 + 120 + 240 + 12)
    assert (calls.few - alone.few, calls.many - alone.many, calls.least - alone.least) == (12, 12, 12)
    assert (alone.few_proved, alone.many_proved) == (alone.few, alone.many)
    server = Measured(calls=8, seconds=8.0, prompt_tokens=200, completion_tokens=10)
    in_process = Measured(calls=8, seconds=2.0, prompt_tokens=200, completion_tokens=10)
    slow, fast = costs(calls, server, 900)[1], costs(calls, server, 900, searched=in_process)[1]
    assert fast.seconds - calls.many_proved == pytest.approx((slow.seconds - calls.many_proved) / 4)
    text = cost_text(fast, fast, server, in_process)
    assert "by 8 measured calls, and 8 in process, which took 25 % of the time" in text

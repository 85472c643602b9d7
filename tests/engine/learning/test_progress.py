from __future__ import annotations

import pytest

from engine.learning.progress import Forecast
from engine.project.config import PromptGradConfig

CONFIG = PromptGradConfig(epochs=2, batches_per_epoch=2, batch_size=10, rule_validation_examples=20)


class Calls:
    def __init__(self) -> None:
        self.done = 0


def forecast() -> tuple[Forecast, Calls]:
    calls = Calls()
    return Forecast(CONFIG, 40, 30, lambda: calls.done), calls


def batch(found: Forecast, calls: Calls, epoch: int, number: int, tests: int) -> int:
    """Go through a batch whose tests cost so many calls; return how many it expects in all at its begin."""
    _, expected = found.at("rollouts", epoch, number)
    calls.done += 10
    found.at("gradients", epoch, number)
    calls.done += CONFIG.gradient_samples
    found.at("validation", epoch, number)
    calls.done += tests
    found.at("merging", epoch, number)
    return expected


def test_what_the_tests_of_a_run_cost_is_learned_from_its_batches() -> None:
    found, calls = forecast()
    _, planned = found.at("baseline", 0, 0)
    calls.done += 40
    assert batch(found, calls, 1, 1, tests=0) == planned
    second = batch(found, calls, 1, 2, tests=0)
    assert second < planned
    _, at_the_epoch = found.at("epoch", 1, 0)
    assert at_the_epoch < second


def test_a_run_that_tests_as_much_as_planned_is_expected_to_take_what_was_planned() -> None:
    found, calls = forecast()
    usual = round(2 * 20 * 1.5)
    _, planned = found.at("baseline", 0, 0)
    calls.done += 40
    expected = [batch(found, calls, 1, 1, tests=usual), batch(found, calls, 1, 2, tests=round(0.9 * usual))]
    assert expected == [planned, planned]


def test_a_rollout_is_a_call_for_each_predictor_and_an_analysis_is_one() -> None:
    _, one = Forecast(CONFIG, 40, 30).at("baseline", 0, 0)
    _, two = Forecast(CONFIG, 40, 30, predictors=2).at("baseline", 0, 0)
    analyses = CONFIG.epochs * CONFIG.batches_per_epoch * CONFIG.gradient_samples
    assert two - analyses == pytest.approx(2 * (one - analyses), abs=1)


def test_a_run_whose_tests_never_get_fewer_is_expected_to_take_longer_and_longer() -> None:
    found, calls = forecast()
    calls.done += 40
    first = batch(found, calls, 1, 1, tests=200)
    second = batch(found, calls, 1, 2, tests=200)
    third = batch(found, calls, 2, 1, tests=200)
    assert first < second < third


def test_nothing_is_left_at_the_end() -> None:
    found, calls = forecast()
    for number in (1, 2):
        batch(found, calls, 1, number, tests=5)
    calls.done = 300
    assert found.at("artifact", 2, 0) == (300, 300)

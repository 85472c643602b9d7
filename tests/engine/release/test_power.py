import random

import pytest

from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval
from engine.release.power import (
    likely_visible_gain,
    luck_of_best,
    opening_text,
    power_text,
    smallest_shown_loss,
    smallest_visible_gain,
)


@pytest.mark.parametrize("n", [6, 12, 30, 120])
def test_the_smallest_visible_gain_is_that_of_the_test_itself(n):
    repaired = round(smallest_visible_gain(n) * n)
    before = [0.0] * n

    def low(k):
        return gain_interval(before, [1.0] * k + [0.0] * (n - k)).low

    assert low(repaired) > 0
    assert low(repaired - 1) <= 0


def test_too_few_examples_show_nothing():
    assert smallest_visible_gain(5) is None
    assert power_text(5) == "5 examples can't distinguish any gain from chance; use more."
    assert smallest_shown_loss(5) == 1.0


def test_the_likely_visible_gain_is_seen_in_four_of_five_samples():
    n, rng = 60, random.Random(1)
    share = likely_visible_gain(n)
    seen = sum(
        gain_interval([0.0] * n, [float(rng.random() < share) for _ in range(n)]).low > 0 for _ in range(300)
    )
    assert 0.74 < seen / 300 < 0.86


@pytest.mark.parametrize("n", [8, 40, 200])
def test_a_loss_that_no_example_shows_is_bounded_by_their_number(n):
    assert smallest_shown_loss(n) == pytest.approx(-gain_interval([1.0] * n, [1.0] * n).low)


def test_the_best_of_several_looks_is_too_high_by_luck():
    rng, n, looks = random.Random(2), 120, 4
    score = Interval(score=0.8, n=n, low=0.7, high=0.9)
    best = [max(sum(rng.random() < 0.8 for _ in range(n)) / n for _ in range(looks)) for _ in range(1500)]
    assert luck_of_best(looks, score) == pytest.approx(sum(best) / len(best) - 0.8, abs=0.004)
    assert luck_of_best(1, score) == 0.0


def test_what_is_said_about_openings():
    score = Interval(score=0.8, n=120, low=0.7, high=0.9)
    assert "for the first time" in opening_text(1, score)
    assert "opened 4 times" in opening_text(4, score)
    assert "0.038 too high" in opening_text(4, score)
    perfect = Interval(score=1.0, n=40, low=0.9, high=1.0)
    assert opening_text(4, perfect) == "This test split has been opened 4 times; new examples would say more."

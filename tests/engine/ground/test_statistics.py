from __future__ import annotations

import tracemalloc
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.validation_power import (
    NARROW,
    NOWHERE,
    acceptance,
    changes,
    everywhere,
    graded,
    repairs,
    right_or_wrong,
    screened,
)
from engine.ground.statistics import Stratum, gain_interval, mean_interval, paired_interval
from engine.learning.subsets import validation_subset

scores = st.floats(0, 1)
grid = st.integers(-4, 4).map(lambda quarters: quarters / 4)


def by_hand(strata: list[Stratum]) -> float:
    """One-sided p-value of "no effect": the share of all sign patterns whose estimate is at least ours."""
    terms = [stratum.weight / len(stratum.deltas) * delta for stratum in strata for delta in stratum.deltas]
    patterns = list(product((1, -1), repeat=len(terms)))
    seen = sum(terms)
    extreme = [
        sum(sign * term for sign, term in zip(signs, terms, strict=True)) >= seen - 1e-9 for signs in patterns
    ]
    return sum(extreme) / len(patterns)


@settings(max_examples=60, deadline=None)
@given(st.lists(grid, min_size=1, max_size=5), st.lists(grid, min_size=1, max_size=5), st.floats(0.05, 0.95))
def test_the_interval_lies_above_zero_exactly_when_the_sign_flip_test_rejects(fired, rest, weight):
    strata = [Stratum(weight, fired), Stratum(1 - weight, rest)]
    assert (paired_interval(strata)[1] > 0) == (by_hand(strata) <= 0.025)


@pytest.mark.parametrize(("repaired", "accepted"), [(5, False), (6, True), (15, True)])
def test_six_repairs_are_the_fewest_that_are_proof(repaired, accepted):
    _, low, _ = paired_interval([Stratum(1.0, [1.0] * repaired + [0.0] * (15 - repaired))])
    assert (low > 0) is accepted


def test_one_break_among_six_repairs_is_no_proof():
    assert paired_interval([Stratum(1.0, [1.0] * 6 + [-1.0] + [0.0] * 8)])[1] <= 0


def test_the_estimate_weighs_each_stratum_by_its_true_share():
    delta, _, _ = paired_interval([Stratum(0.1, [1.0, 1.0, 0.0, 1.0]), Stratum(0.9, [0.0, -0.5])])
    assert delta == pytest.approx(0.1 * 0.75 - 0.9 * 0.25)


def test_no_change_at_all_is_bounded_by_the_rule_of_three():
    assert paired_interval([Stratum(1.0, [0.0] * 15)]) == (
        0.0,
        pytest.approx(-(1 - 0.025 ** (1 / 15))),
        pytest.approx(1 - 0.025 ** (1 / 15)),
    )


def test_a_thinly_sampled_stratum_hides_more_than_an_evenly_spread_sample():
    thin = paired_interval([Stratum(0.2, [0.0] * 12), Stratum(0.8, [0.0] * 3)])
    even = paired_interval([Stratum(0.2, [0.0] * 3), Stratum(0.8, [0.0] * 12)])
    assert even[2] == pytest.approx(1 - 0.025 ** (1 / 15))
    assert thin[2] > 0.5 > even[2]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_the_interval_holds_the_estimate_is_never_a_point_and_mirrors_with_the_deltas(deltas):
    delta, low, high = paired_interval([Stratum(1.0, deltas)])
    assert -1 <= low <= delta <= high <= 1
    assert high - low > 0.01
    mirrored = paired_interval([Stratum(1.0, [-value for value in deltas])])
    assert mirrored == pytest.approx((-delta, -high, -low), abs=1e-9)


def test_equal_samples_get_equal_intervals_beyond_exact_enumeration():
    deltas = [Random(3).choice([-1.0, 0.0, 0.5, 1.0]) for _ in range(40)]
    assert paired_interval([Stratum(1.0, deltas)]) == paired_interval([Stratum(1.0, list(deltas))])


@pytest.mark.parametrize(
    "strata",
    [[], [Stratum(1.0, [])], [Stratum(0.4, [0.0]), Stratum(0.4, [1.0])]],
    ids=["none", "empty", "0.8"],
)
def test_a_sample_that_speaks_for_nothing_is_refused(strata):
    with pytest.raises(ValueError, match=r"stratum|strata"):
        paired_interval(strata)


@pytest.mark.parametrize("n", [15, 40])
@pytest.mark.parametrize("draw", [right_or_wrong, changes(0.2), graded], ids=["0/1", "rare", "graded"])
@pytest.mark.parametrize("fired", [NOWHERE, NARROW], ids=["no trigger", "narrow trigger"])
def test_at_most_one_in_twenty_rules_without_effect_is_accepted(fired, draw, n):
    assert acceptance(everywhere(draw), fired, n) <= 0.05


@pytest.mark.parametrize("n", [15, 40])
def test_a_rule_that_repairs_a_tenth_is_seen_in_strata_and_not_in_a_plain_subset(n):
    effect = repairs(changes(0.0))
    assert acceptance(effect, NARROW, n, simulations=200) == 1.0
    assert acceptance(effect, NOWHERE, n, simulations=200) < 0.2


def test_the_estimate_is_unbiased_under_the_real_design():
    rng = Random(5)
    truth = [rng.choice([-1.0, 0.0, 0.25, 1.0]) for _ in range(60)]
    fired = [index % 5 == 0 for index in range(60)]
    estimates = []
    for _ in range(4000):
        parts = validation_subset(fired, 15, rng).stratify(dict(enumerate(truth)))
        estimates.append(sum(part.weight * sum(part.deltas) / len(part.deltas) for part in parts))
    assert sum(estimates) / len(estimates) == pytest.approx(sum(truth) / 60, abs=0.02)


def test_a_mean_of_zeros_and_ones_has_wilsons_interval():
    interval = mean_interval([1.0] * 8 + [0.0] * 2)
    assert (interval.score, interval.n) == (0.8, 10)
    assert (interval.low, interval.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_ten_of_ten_are_not_certainly_all():
    assert mean_interval([1.0] * 10).low == pytest.approx(0.7225, abs=1e-4)
    assert mean_interval([1.0] * 10).high == 1.0


def test_graded_scores_that_vary_little_are_known_better_and_never_exactly():
    steady, rough = mean_interval([0.7] * 30), mean_interval([1.0] * 21 + [0.0] * 9)
    assert steady.high - steady.low < rough.high - rough.low
    assert steady.high - steady.low > 0.01


@given(st.lists(scores, min_size=1, max_size=60), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_of_a_mean_stays_within_bounds_and_around_the_mean(values, confidence):
    interval = mean_interval(values, confidence)
    assert 0 <= interval.low <= interval.score + 1e-9
    assert interval.score - 1e-9 <= interval.high <= 1
    assert interval.low < interval.high


def test_more_confidence_asks_for_a_wider_interval():
    assert mean_interval([0.0, 1.0] * 9, 0.99).low < mean_interval([0.0, 1.0] * 9, 0.8).low


def test_no_scores_have_no_interval():
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_a_gain_is_paired_example_by_example():
    rng = Random(1)
    hard = [rng.random() for _ in range(120)]
    gain = gain_interval(hard, [min(1.0, score + 0.05) for score in hard])
    assert (gain.n, gain.score) == (120, pytest.approx(0.05, abs=0.005))
    assert gain.low > 0.04


def test_scores_of_different_examples_can_not_be_paired():
    with pytest.raises(ValueError, match="shorter"):
        gain_interval([0.0, 1.0], [1.0])


def test_a_large_test_split_takes_little_memory() -> None:
    tracemalloc.start()
    gain = gain_interval([0.0] * 10_000, [1.0] * 600 + [0.0] * 9_400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.05 < gain.low < 0.06 < gain.high < 0.07
    assert peak < 200e6


def test_equal_scores_have_equal_means_in_every_order() -> None:
    scores = [0.1, 0.2, 1 / 3, 2 / 3, 0.7, 1.0, 0.0] * 6
    means = {mean_interval(Random(seed).sample(scores, len(scores))).score for seed in range(200)}
    assert len(means) == 1


@pytest.mark.parametrize("candidates", [1, 12])
def test_screening_many_candidates_does_not_raise_the_level_of_a_test(candidates):
    once, _, either, _ = screened(candidates, everywhere(right_or_wrong))
    assert once <= either
    assert once < 0.045
    assert either < 0.07

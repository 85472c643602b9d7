from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ground.agreement import best_threshold, bootstrap_interval, cohen_kappa, fitted_calls, spearman

grades = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


def test_kappa_of_two_raters_as_in_the_textbook():
    # Fleiss, Levin and Paik (2003), 2 x 2: 20 both yes, 15 both no, 5 and 10 apart.
    first = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(first, second, 2) == pytest.approx(0.4)


def test_weighted_kappa_forgives_near_misses():
    near = cohen_kappa([0, 1, 2, 3, 4], [1, 1, 2, 3, 3], 5)
    far = cohen_kappa([0, 1, 2, 3, 4], [4, 1, 2, 3, 0], 5)
    assert far < 0 < near < 1


def test_the_threshold_that_fits_lies_between_right_and_wrong():
    right, scores = [False, False, True, True], [0.1, 0.2, 0.5, 0.4]
    assert best_threshold(right, scores) == pytest.approx(0.3)
    assert fitted_calls(right, scores) == right
    assert best_threshold([True], [0.7]) == 0.7
    assert best_threshold([], []) == 0.5


def test_an_answer_is_called_by_a_threshold_that_the_others_fit():
    # The wrong answer with the highest score can't lift the threshold by which it is itself called.
    assert fitted_calls([False, False, True, True, False], [0.1, 0.2, 0.5, 0.6, 0.9])[-1]


def test_a_threshold_fits_many_scores_without_trying_each():
    scores = [place / 1000 for place in range(1000)]
    assert best_threshold([score >= 0.5 for score in scores], scores) == pytest.approx(0.5, abs=0.02)


def test_raters_who_never_vary_tell_nothing():
    assert cohen_kappa([1, 1], [1, 1], 2) == 0.0
    assert cohen_kappa([], [], 2) == 0.0
    assert spearman([1.0, 1.0], [0.0, 1.0]) == 0.0


@given(grades)
def test_kappa_is_symmetric_and_1_for_oneself(pairs):
    first, second = zip(*pairs, strict=True)
    assert cohen_kappa(first, second, 5) == pytest.approx(cohen_kappa(second, first, 5))
    if len(set(first)) > 1:
        assert cohen_kappa(first, first, 5) == 1.0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20, unique=True))
def test_rank_correlation_looks_at_the_order_alone(values):
    assert spearman(values, [value**3 for value in values]) == pytest.approx(1.0) or len(
        {value**3 for value in values}
    ) < len(values)
    assert spearman(values, [-value for value in values]) == pytest.approx(-1.0)


def test_an_interval_of_kappa_covers_the_truth():
    """Two raters who agree on 80 % of yes and no, half each: the true kappa is 0.6."""
    covered = 0
    for seed in range(40):
        rng = random.Random(seed)
        first = [rng.random() < 0.5 for _ in range(60)]
        second = [one if rng.random() < 0.8 else not one for one in first]
        ours, theirs = [int(one) for one in first], [int(one) for one in second]
        interval = bootstrap_interval(
            60,
            lambda rows, ours=ours, theirs=theirs: cohen_kappa(
                [ours[row] for row in rows], [theirs[row] for row in rows], 2
            ),
        )
        covered += interval.low <= 0.6 <= interval.high
    assert 34 <= covered <= 40

"""Balanced accuracy and macro F1 against their definitions, and what their intervals promise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ground.by_class import balanced_accuracy, macro_f1

ANSWERS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcx")), min_size=1, max_size=30)


def f1(expected: list[str], answered: list[str], name: str) -> float:
    """F1 from precision and recall, as textbooks write it."""
    hits = sum(one == two == name for one, two in zip(expected, answered, strict=True))
    if not hits:
        return 0.0
    precision, recall = hits / answered.count(name), hits / expected.count(name)
    return 2 * precision * recall / (precision + recall)


@given(ANSWERS)
def test_both_are_what_their_definitions_say(pairs: list[tuple[str, str]]) -> None:
    expected, answered = ([*side] for side in zip(*pairs, strict=True))
    names = sorted(set(expected))
    right = [float(one == two) for one, two in pairs]
    recalls = [
        sum(score for one, score in zip(expected, right, strict=True) if one == name) / expected.count(name)
        for name in names
    ]
    balanced, f1s = balanced_accuracy(expected, right), macro_f1(expected, answered)
    assert balanced.score == pytest.approx(sum(recalls) / len(names))
    assert f1s.score == pytest.approx(sum(f1(expected, answered, name) for name in names) / len(names))
    for interval in (balanced, f1s):
        assert 0.0 <= interval.low <= interval.score <= interval.high <= 1.0
        assert interval.n == len(pairs)


def test_a_large_class_does_not_hide_a_small_one() -> None:
    expected = ["no"] * 95 + ["yes"] * 5
    assert balanced_accuracy(expected, [1.0] * 95 + [0.0] * 5).score == 0.5
    assert macro_f1(expected, ["no"] * 100).score == pytest.approx((2 * 95 / 195) / 2)


def test_ten_perfect_answers_do_not_look_certain() -> None:
    expected = ["a", "b"] * 5
    assert balanced_accuracy(expected, [1.0] * 10).low < 0.75
    assert macro_f1(expected, expected).low < 0.75
    assert macro_f1(expected, expected).high == 1.0


def test_a_graded_score_counts_by_its_value() -> None:
    assert balanced_accuracy(["a", "a", "b"], [1.0, 0.5, 0.5]).score == 0.625


def test_without_examples_there_is_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        balanced_accuracy([], [])
    with pytest.raises(ValueError, match="at least one example"):
        macro_f1([], [])


def test_the_intervals_hold_the_truth_in_most_samples() -> None:
    """Two classes, 80 to 20, answered right in 85 and 60 of 100 cases: both figures have known values."""
    rng = random.Random(0)
    recall = {"a": 0.85, "b": 0.6}
    truth = {"balanced": 0.725, "f1": (2 * 0.68 / (0.8 + 0.76) + 2 * 0.12 / (0.2 + 0.24)) / 2}
    held = {"balanced": 0, "f1": 0}
    for _ in range(200):
        expected = ["a" if rng.random() < 0.8 else "b" for _ in range(60)]
        answered = [one if rng.random() < recall[one] else {"a": "b", "b": "a"}[one] for one in expected]
        right = [float(one == two) for one, two in zip(expected, answered, strict=True)]
        found = {"balanced": balanced_accuracy(expected, right), "f1": macro_f1(expected, answered)}
        for name, interval in found.items():
            held[name] += interval.low <= truth[name] <= interval.high
    assert held["balanced"] >= 184
    assert held["f1"] >= 180

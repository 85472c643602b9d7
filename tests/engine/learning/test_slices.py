from __future__ import annotations

import pytest

from engine.learning.slices import ScoredExamples

BEFORE = ScoredExamples([1.0, 0.0, 0.0, 0.5], [True, False, False, False], ["b", "a", "a", ""])
AFTER = ScoredExamples([0.0, 1.0, 0.5, 1.0], [False, True, False, True], ["b", "a", "a", ""])


def test_scores_and_wrong_answers_by_slice() -> None:
    slices = AFTER.by_slice
    assert list(slices) == ["a", "b"]
    assert (slices["a"].score.score, slices["a"].score.n, slices["a"].failures) == (0.75, 2, 1)
    assert (slices["b"].score.score, slices["b"].failures) == (0.0, 1)
    assert AFTER.interval.n == 4


def test_gains_are_paired_within_a_slice() -> None:
    gains = AFTER.gains_over(BEFORE)
    assert (gains["a"].baseline.score, gains["a"].optimized.score) == (0.0, 0.75)
    assert gains["a"].gain.score == pytest.approx(0.75)
    assert (gains["b"].gain.score, gains["b"].failures) == (-1.0, 1)


def test_examples_without_a_slice_make_none() -> None:
    plain = ScoredExamples([1.0, 0.0], [True, False], ["", ""])
    assert plain.by_slice == plain.gains_over(plain) == {}

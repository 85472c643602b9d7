"""Balanced accuracy and macro F1: each answer counts alike, however rare it is."""

from __future__ import annotations

import pytest

from engine.journal.events import RolloutFinished
from engine.learning.class_scores import class_scores


def rollout(number: int, expected: str, answer: str | None) -> RolloutFinished:
    return RolloutFinished(
        id=str(number),
        example=str(number),
        split="test",
        rules="r",
        score=float(expected == answer),
        is_success=expected == answer,
        prediction=None if answer is None else {"queue": answer},
    )


def test_each_answer_counts_alike() -> None:
    pairs = [("a", "a")] * 5 + [("a", "b")] + [("b", "b"), ("b", "a")] + [("c", "C"), ("c", "c")]
    expected = {str(number): label for number, (label, _) in enumerate(pairs)}
    found = class_scores([rollout(n, *pair) for n, pair in enumerate(pairs)], expected, "queue")
    assert found is not None
    assert found.answers == 3
    assert found.balanced_accuracy == pytest.approx((5 / 6 + 1 / 2 + 1 / 2) / 3)
    # a: 5 right, 6 given; b: 1 right, 2 given; c: 1 right, and once in another spelling, which is wrong here
    assert found.macro_f1 == pytest.approx((2 * 5 / 12 + 2 * 1 / 4 + 2 * 1 / 4) / 3)


def test_an_unreadable_answer_is_nobodys() -> None:
    pairs = [("a", "a"), ("b", None)]
    found = class_scores([rollout(n, *pair) for n, pair in enumerate(pairs)], {"0": "a", "1": "b"}, "queue")
    assert found is not None
    assert (found.balanced_accuracy, found.macro_f1) == (0.5, 0.5)


def test_one_answer_makes_no_balance() -> None:
    assert class_scores([rollout(0, "a", "a")], {"0": "a"}, "queue") is None

"""The paired test of non-inferiority ends early only where its verdict is certain."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from engine.release.objectives import margin
from engine.release.objectives.margin import NonInferiority, is_no_worse


class Asked:
    """Scores of a program, which counts what it is asked for."""

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = scores
        self.calls = 0

    def __call__(self, numbers: Sequence[int]) -> list[float]:
        self.calls += len(numbers)
        return [self._scores[number] for number in numbers]


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0)], ids=["exact", "graded"])
def test_the_verdict_is_that_of_all_examples(values: tuple[float, ...]) -> None:
    rng = Random(7)
    verdicts = []
    for _ in range(60):
        n, changed = rng.choice([20, 45, 60]), rng.choice([0.02, 0.1, 0.4])
        before = [rng.choice(values) for _ in range(n)]
        after = [rng.choice(values) if rng.random() < changed else score for score in before]
        test, asked = NonInferiority(before, 0.2), Asked(after)
        held = test.holds(asked)
        assert held is is_no_worse(test.gain(after), 0.2)
        assert asked.calls + test.left_out == n
        verdicts.append((held, bool(test.left_out)))
    assert {True, False} == {held for held, _ in verdicts}
    assert not any(held and left_out for held, left_out in verdicts)


def test_a_lost_test_computes_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    monkeypatch.setattr(margin, "gain_interval", lambda *scores: computed.append(scores))
    # Half of the first fifth is lost: all others together can't make up for that.
    before = [1.0] * 300
    test = NonInferiority(before, 0.05)
    after = [0.0 if number % 2 else 1.0 for number in range(300)]
    assert not test.holds(Asked(after))
    assert computed == []


def test_a_program_that_lost_everything_is_asked_little() -> None:
    test, asked = NonInferiority([1.0] * 60, 0.07), Asked([0.0] * 60)
    assert not test.holds(asked)
    assert (asked.calls, test.left_out) == (12, 48)
    assert not test.holds(Asked([1.0] * 48 + [0.0] * 12))
    assert test.left_out > 48, "over all tests"

"""Sixty slices fill no page."""

from __future__ import annotations

from engine.ground.interval import Interval
from engine.journal.events import SliceScores
from promptgrad_tui.views.run.slices import MOST_SLICES, hidden_text, shown_slices


def scores(failures: int) -> SliceScores:
    whole = Interval(score=0.5, low=0.4, high=0.6, n=10)
    return SliceScores(baseline=whole, optimized=whole, gain=whole, failures=failures)


def test_few_slices_are_all_shown() -> None:
    few = {str(number): scores(number) for number in range(MOST_SLICES)}
    assert shown_slices(few) == few
    assert hidden_text(few) == ""


def test_of_many_slices_those_with_the_most_wrong_answers_are_shown_in_their_order() -> None:
    many = {str(number): scores(number % 20) for number in range(60)}
    shown = shown_slices(many)
    assert len(shown) == MOST_SLICES
    assert min(one.failures for one in shown.values()) == 16
    assert list(shown) == sorted(shown, key=int)
    assert hidden_text(many).startswith("and 48 more")

"""Scores over costs, drawn as text."""

from __future__ import annotations

from engine.ground.interval import Interval
from promptgrad_tui.views.scatter import Point, scatter_lines


def point(name: str, cost: float, score: float) -> Point:
    return Point(name, cost, Interval(score=score, n=60, low=score - 0.1, high=score + 0.1))


def test_dearer_points_are_further_right_and_better_ones_higher() -> None:
    lines = scatter_lines([point("cheap", 100, 0.4), point("dear", 400, 0.8)], "calls", 60)
    places = {
        letter: (row, line.index(letter, 7))
        for row, line in enumerate(lines[:12])
        for letter in "ab"
        if letter in line[7:]
    }
    (row_of_cheap, column_of_cheap), (row_of_dear, column_of_dear) = places["a"], places["b"]
    assert row_of_dear < row_of_cheap
    axis = 7
    assert (column_of_cheap - axis) * 3.5 < column_of_dear - axis
    assert lines[0].startswith("  0.90")
    assert lines[11].startswith("  0.30")
    assert lines[12].endswith("400 calls")
    assert [line.split() for line in lines[13:]] == [["a", "cheap"], ["b", "dear"]]
    assert max(map(len, lines)) <= 60


def test_an_interval_is_a_line_of_its_length() -> None:
    lines = scatter_lines([point("one", 10, 0.5), point("other", 20, 0.5)], "calls", 60)
    column = next(line.index("a", 7) for line in lines if "a" in line[7:])
    assert [line[column] for line in lines[:12]].count("|") == 11


def test_nothing_is_drawn_without_points_or_room() -> None:
    assert scatter_lines([], "calls", 60) == []
    assert scatter_lines([point("one", 1, 0.5)], "calls", 20) == []

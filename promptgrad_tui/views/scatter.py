"""Scores over what they cost, drawn as text: a letter for each point, a line for its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.ground.interval import Interval

_HEIGHT = 12
_AXIS = 6
_WIDEST = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Point:
    """A score (0..1) with its interval over a cost."""

    name: str
    cost: float
    score: Interval


def letters(points: Sequence[Point]) -> list[str]:
    """Return the letter of each point, in order; those beyond the alphabet share a plus sign."""
    return [_LETTERS[number] if number < len(_LETTERS) else "+" for number in range(len(points))]


def scatter_lines(points: Sequence[Point], cost_name: str, columns: int) -> list[str]:
    """Return a plot that fits `columns`: cost from left to right, score from bottom to top.

    Below it stand the names of the points by their letters.
    """
    width = min(columns - _AXIS - 2, _WIDEST)
    if not points or width < 16:
        return []
    top = max(point.score.high for point in points)
    bottom = min(point.score.low for point in points)
    most = max(max(point.cost for point in points), 1.0)
    span = max(top - bottom, 1e-9)

    def row(score: float) -> int:
        return round((top - score) / span * (_HEIGHT - 1))

    cells = [[" "] * width for _ in range(_HEIGHT)]
    marks = list(zip(points, letters(points), strict=True))
    for point, _ in marks:
        column = round(point.cost / most * (width - 1))
        for number in range(row(point.score.high), row(point.score.low) + 1):
            cells[number][column] = "|"
    for point, letter in reversed(marks):
        column = round(point.cost / most * (width - 1))
        cells[row(point.score.score)][column] = letter
    ticks = {0: top, _HEIGHT // 2: top - span * (_HEIGHT // 2) / (_HEIGHT - 1), _HEIGHT - 1: bottom}
    lines = [
        f"{f'{ticks[number]:.2f}' if number in ticks else '':>{_AXIS}} {''.join(own).rstrip()}".rstrip()
        for number, own in enumerate(cells)
    ]
    end = f"{most:,.0f} {cost_name}"
    lines.append(f"{'':>{_AXIS}} 0{end:>{width - 1}}")
    return lines + [f"{'':>{_AXIS}} {letter}  {point.name}" for point, letter in marks]

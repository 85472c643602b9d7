"""Scores with their intervals, drawn as text."""

from __future__ import annotations

from collections.abc import Iterable

from engine.ground.interval import Interval
from engine.journal.events import EpochFinished
from promptgrad_tui.views.figures import count_text, epoch_name, value_text

_CELLS = 40


def score_plot(epochs: Iterable[EpochFinished]) -> list[str]:
    """Return one line for each epoch: its validation score, the interval on a scale of 0..1, its rules."""
    return [
        f"  {epoch_name(epoch).lower():<9} {_bar(epoch.validation)}  {_rules(epoch)}".rstrip()
        for epoch in epochs
    ]


def _rules(epoch: EpochFinished) -> str:
    return count_text(epoch.n_rules, "rule") if epoch.epoch else ""


def _bar(interval: Interval) -> str:
    low, score, high = (_cell(value) for value in (interval.low, interval.score, interval.high))
    cells = ["."] * _CELLS
    cells[low : high + 1] = ["-"] * (high + 1 - low)
    cells[low], cells[high], cells[score] = "|", "|", "o"
    return f"{value_text(interval.score)}  {''.join(cells)}"


def _cell(value: float) -> int:
    return round(min(max(value, 0.0), 1.0) * (_CELLS - 1))

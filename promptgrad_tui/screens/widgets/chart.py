"""The score of each epoch with its interval, and where rules came and went, drawn as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.ground.interval import Interval
from engine.journal.events import EpochFinished, RulesChanged
from promptgrad_tui.views.figures import value_text
from promptgrad_tui.views.toned_lines import BLANK, Line, Tone, line

_AXIS = 6
_COMING_AND_GOING = 1
_TICKS = (5, 10, 20, 50)
_SAME = 1e-6
LEGEND = "\u25cf epoch  \u25c6 best  \u2717 rolled back  \u25c7 review  \u00b7\u00b7 baseline"
_SPACE: tuple[str, Tone] = (" ", "")


@dataclass(frozen=True)
class ChartData:
    """What the chart shows; `n_epochs` is how many the run plans, `changes` are in the order of the run.

    `reviews` are the scores that reviews after the run came to.
    """

    epochs: Sequence[EpochFinished]
    changes: Sequence[tuple[RulesChanged, int]]
    n_epochs: int
    batches_per_epoch: int
    reviews: Sequence[Interval] = ()


def score_chart(data: ChartData, columns: int, rows: int) -> list[Line]:
    """Return `rows` lines of `columns` cells: epochs from left to right, scores from bottom to top.

    `●` is an epoch's validation score, `◆` the best, `✗` one that was rolled back, `│` their 95 % intervals,
    the dotted line the baseline; the last line but one shows rules added (+) and gone (-) at the batch
    they came with.
    """
    height = rows - 1 - _COMING_AND_GOING
    if not data.epochs or columns < 20 or height < 3:
        return [line(" The baseline is being scored." if not data.epochs else "", "dim")]
    canvas = _Canvas(data, columns - _AXIS, height)
    canvas.draw()
    ticks = canvas.ticks()
    lines = [((ticks.get(row, "").ljust(_AXIS), "dim"), *canvas.row(row)) for row in range(height)]
    return [*lines, canvas.changes_line(), canvas.epoch_names()]


class _Canvas:
    def __init__(self, data: ChartData, width: int, height: int) -> None:
        self._data = data
        self.width, self.height = width, height
        lows = [epoch.validation.low for epoch in data.epochs]
        highs = [epoch.validation.high for epoch in data.epochs]
        lows += [review.low for review in data.reviews]
        highs += [review.high for review in data.reviews]
        self._scale(max(min(lows) - 0.05, 0.0), min(max(highs) + 0.05, 1.0))
        self._marks: dict[tuple[int, int], tuple[str, Tone]] = {}
        self._last = max(data.n_epochs, data.epochs[-1].epoch, 1)
        self._step = (width - 3) / (self._last + len(data.reviews))

    def _scale(self, low: float, high: float) -> None:
        """Choose round scores at rows that stand evenly apart, with as little above them as can be."""
        rows = self.height - 1
        found = []
        for step in _TICKS:
            for apart in range(2, max(rows, 2) + 1):
                bottom = int(low * 100) // step * step
                top = bottom + step * rows / apart
                if top >= high * 100 - _SAME:
                    found.append((top, step, apart, bottom))
        top, self._tick, self._apart, bottom = min(found, default=(100, 50, max(rows, 1), 0))
        self.low, self.high = bottom / 100, top / 100

    def draw(self) -> None:
        baseline = self._data.epochs[0].validation.score
        row = self.row_of(baseline)
        for column in range(0, self.width, 2):
            self._marks[row, column] = ("\u00b7", "dim")
        for before, after in zip(self._data.epochs, self._data.epochs[1:], strict=False):
            self._connect(before, after)
        best = max(self._data.epochs, key=lambda epoch: epoch.validation.score)
        for epoch in self._data.epochs:
            self._point(epoch, is_best=epoch is best)
        for number, review in enumerate(self._data.reviews, 1):
            self._interval(self.column_of(self._last + number), review, "accent", "\u25c7")
        for epoch in self._data.epochs:
            self._label(epoch)

    def _connect(self, before: EpochFinished, after: EpochFinished) -> None:
        left, right = self.column_of(before.epoch), self.column_of(after.epoch)
        for column in range(left + 1, right):
            share = (column - left) / (right - left)
            score = before.validation.score + share * (after.validation.score - before.validation.score)
            self._marks[self.row_of(score), column] = ("\u00b7", "accent")

    def _point(self, epoch: EpochFinished, *, is_best: bool) -> None:
        column = self.column_of(epoch.epoch)
        is_gone = epoch.outcome == "rolled_back"
        tone: Tone = "bad" if is_gone else "good" if is_best else "accent"
        mark = "\u2717" if is_gone else "\u25c6" if is_best else "\u25cf"
        self._interval(column, epoch.validation, tone, mark)

    def _interval(self, column: int, scores: Interval, tone: Tone, mark: str) -> None:
        for row in range(self.row_of(scores.high), self.row_of(scores.low) + 1):
            self._marks[row, column] = ("\u2502", tone)
        self._marks[self.row_of(scores.score), column] = (mark, tone)

    def _label(self, epoch: EpochFinished) -> None:
        """Write a score beside its point, where it covers nothing."""
        column, row = self.column_of(epoch.epoch), self.row_of(epoch.validation.score)
        tone = self._marks[row, column][1]
        label = value_text(epoch.validation.score)
        for start in (column + 2, column - 1 - len(label)):
            cells = [(row, start + offset) for offset in range(len(label))]
            if start >= 0 and start + len(label) <= self.width and self._is_free(cells):
                self._marks |= {cell: (text, tone) for cell, text in zip(cells, label, strict=True)}
                return

    def _is_free(self, cells: Sequence[tuple[int, int]]) -> bool:
        return all(self._marks.get(cell, _SPACE)[0] in " \u00b7" for cell in cells)

    def column_of(self, epoch: float) -> int:
        return 1 + round(epoch * self._step)

    def row_of(self, score: float) -> int:
        share = (score - self.low) / ((self.high - self.low) or 1.0)
        return round((1 - min(max(share, 0.0), 1.0)) * (self.height - 1))

    def ticks(self) -> dict[int, str]:
        """Round scores at their rows, evenly apart; none above 1."""
        found = {}
        for row in range(self.height - 1, -1, -self._apart):
            score = self.low + (self.height - 1 - row) / self._apart * self._tick / 100
            if score <= 1.0 + _SAME:
                found[row] = f"{score:.2f}"
        return found

    def row(self, row: int) -> Line:
        marks = (self._marks.get((row, column), _SPACE) for column in range(self.width))
        grouped = groupby(marks, key=lambda mark: mark[1])
        return tuple(("".join(text for text, _ in run), tone) for tone, run in grouped)

    def changes_line(self) -> Line:
        texts: dict[int, list[tuple[str, Tone]]] = defaultdict(list)
        for change, difference in self._data.changes:
            batches = max(self._data.batches_per_epoch, 1)
            batch = change.batch or batches
            column = self.column_of(change.epoch - 1 + batch / (batches + 1))
            if difference:
                texts[column].append((f"{difference:+d}", "good" if difference > 0 else "bad"))
        return (("rules ".ljust(_AXIS), "dim"), *_placed(texts, self.width))

    def epoch_names(self) -> Line:
        names: dict[int, list[tuple[str, Tone]]] = {}
        known = {epoch.epoch for epoch in self._data.epochs}
        last = max(self._data.n_epochs, max(known))
        for epoch in range(last + 1):
            name = "base" if epoch == 0 else f"{epoch}"
            column = min(max(self.column_of(epoch) - len(name) // 2, 0), self.width - len(name))
            names[column] = [(name, "" if epoch in known else "dim")]
        for number in range(1, len(self._data.reviews) + 1):
            column = min(self.column_of(self._last + number), self.width - 2)
            names[column] = [(f"r{number}", "accent")]
        return (("epoch ".ljust(_AXIS), "dim"), *_placed(names, self.width - 1))


def _placed(texts: Mapping[int, list[tuple[str, Tone]]], width: int) -> Line:
    """Return texts at their columns on one line; one that would cover another moves to the right."""
    runs: list[tuple[str, Tone]] = []
    at = 0
    for column in sorted(texts):
        for text, tone in texts[column]:
            start = max(column, at)
            if start + len(text) > width + 1:
                return tuple(runs)
            runs += [(" " * (start - at), ""), (text, tone)]
            at = start + len(text)
    return tuple(runs) or BLANK

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from engine.ground.interval import Interval
from engine.journal.events import EpochFinished, RulesChanged
from promptgrad_tui.screens.widgets.chart import ChartData, score_chart
from promptgrad_tui.views.toned_lines import plain


def epoch(
    number: int, score: float, outcome: Literal["improved", "rolled_back"] = "improved"
) -> EpochFinished:
    interval = Interval(score=score, n=40, low=score - 0.1, high=score + 0.1)
    return EpochFinished(
        id=f"epoch{number}",
        epoch=number,
        validation=interval,
        rules="x",
        n_rules=number,
        best=score,
        outcome=outcome if number else "baseline",
    )


def change(batch: int) -> RulesChanged:
    return RulesChanged(id=f"c{batch}", epoch=1, batch=batch, reason="accepted", digest="d", rules=())


def drawn(data: ChartData, columns: int = 70, rows: int = 10) -> list[str]:
    return [plain(line) for line in score_chart(data, columns, rows)]


def test_a_better_epoch_stands_higher_and_further_right() -> None:
    lines = drawn(ChartData([epoch(0, 0.4), epoch(1, 0.8)], [], 2, 3))
    rows = {label: next(row for row, line in enumerate(lines) if label in line) for label in ("0.40", "0.80")}
    assert rows["0.80"] < rows["0.40"]
    assert lines[rows["0.80"]].index("◆") > lines[rows["0.40"]].index("●")


def test_the_best_epoch_and_one_that_was_rolled_back_are_told_by_their_marks() -> None:
    epochs = [epoch(0, 0.4), epoch(1, 0.8), epoch(2, 0.3, "rolled_back"), epoch(3, 0.8)]
    text = "\n".join(drawn(ChartData(epochs, [], 3, 3)))
    assert [text.count(mark) for mark in "●◆✗"] == [2, 1, 1]


def test_the_axis_tells_round_scores() -> None:
    lines = drawn(ChartData([epoch(0, 0.41), epoch(1, 0.83)], [], 2, 3), rows=20)
    ticks = {row: float(line[:5]) for row, line in enumerate(lines[:-2]) if line[:5].strip()}
    rows, scores = list(ticks), list(ticks.values())
    assert len(ticks) >= 3
    assert {later - row for row, later in pairwise(rows)} == {rows[1] - rows[0]}
    steps = {round(score - later, 2) for score, later in pairwise(scores)}
    assert len(steps) == 1
    assert all(round(score / steps.copy().pop(), 6).is_integer() for score in scores)


def test_a_review_stands_behind_the_last_epoch() -> None:
    review = Interval(score=0.6, n=40, low=0.5, high=0.7)
    lines = drawn(ChartData([epoch(0, 0.4), epoch(1, 0.8)], [], 1, 3, [review]))
    column = lines[-1].index("r1")
    assert column > lines[-1].rindex("1 ")
    assert abs(next(line.index("\u25c7") for line in lines if "\u25c7" in line) - column) <= 1


def test_rules_that_came_and_went_stand_between_their_epochs() -> None:
    changes = [(change(1), 2), (change(3), -1)]
    lines = drawn(ChartData([epoch(0, 0.4), epoch(1, 0.8)], changes, 1, 3))
    rules, epochs = lines[-2], lines[-1]
    assert rules.startswith("rules")
    assert epochs.index("base") < rules.index("+2") < rules.index("-1") < epochs.rindex("1")


def test_epochs_to_come_have_their_place() -> None:
    assert drawn(ChartData([epoch(0, 0.4)], [], 3, 3))[-1].split() == ["epoch", "base", "1", "2", "3"]


def test_before_the_baseline_it_says_so() -> None:
    assert drawn(ChartData([], [], 3, 3)) == [" The baseline is being scored."]


def test_no_line_is_wider_than_the_chart() -> None:
    data = ChartData([epoch(number, 0.5) for number in range(9)], [(change(1), 1)] * 40, 9, 3)
    assert max(map(len, drawn(data, columns=44))) <= 44

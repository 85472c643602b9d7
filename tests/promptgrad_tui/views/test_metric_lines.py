"""Several metrics as lines of a screen and cells of a table."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from engine.ground.score import MetricScore
from engine.journal.metric_figures import change_of
from promptgrad_tui.views.metrics import METRIC_COLUMNS, metric_lines, metric_rows, parts_of, tell_more


def scores(*values: float, expected: str = "") -> list[MetricScore]:
    return [
        MetricScore(value=value, is_success=value >= 0.5, expected=expected, answered=expected)
        for value in values
    ]


SUM = "0.75 names the policy + 0.25 is short"
SEVERAL = {
    SUM: change_of(scores(0.0, 0.25, 1.0), scores(1.0, 1.0, 0.5)),
    "names the policy": change_of(scores(0.0, 0.0, 1.0), scores(1.0, 1.0, 1.0)),
    "is short": change_of(scores(0.0, 1.0, 1.0, expected="a"), scores(1.0, 1.0, 0.0, expected="a")),
}


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_metric_has_its_figures_on_a_screen_of_any_width(columns: int) -> None:
    rows = ["".join(text for text, _ in line) for line in metric_lines("test", SEVERAL, columns)]
    text = "\n".join(rows)
    assert [row for row in rows if cell_len(row.rstrip()) > columns] == []
    assert "Metrics of the test split" in text
    for name in SEVERAL:
        assert f"  {name}" in rows
    assert "0.333 -> 1.000" in text
    assert "0 of 3 wrong" in text
    assert "1 of 3 wrong" in text
    assert "std 0.471, min 0.00" in text
    assert "  is short, balanced accuracy" in rows


def test_the_first_row_of_a_table_is_what_is_optimized() -> None:
    rows = list(metric_rows(SEVERAL))
    assert {len(row) for row in rows} == {len(METRIC_COLUMNS)}
    assert [row[0] for row in rows] == [
        f"{SUM} (optimized)",
        "names the policy",
        "is short",
        "is short, balanced accuracy",
        "is short, macro F1",
    ]
    assert rows[1][-1] == "0 of 3 wrong"


def test_one_metric_tells_no_more_than_its_score_unless_by_class() -> None:
    one = {"exact_match": SEVERAL["names the policy"]}
    assert not tell_more(one)
    assert metric_lines("test", one, 80) == []
    assert parts_of(one) == one
    assert list(parts_of(SEVERAL)) == ["names the policy", "is short"]
    assert tell_more({"exact_match": SEVERAL["is short"]})

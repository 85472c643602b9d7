"""The methods of a contest, where other runs have their batches: a row for each method and seed."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.interval import Interval
from engine.journal.contest_events import LaneFinished
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import count_text, score_text, tokens_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import fact, paragraph
from promptgrad_tui.views.toned_lines import BLANK, Line, line, ranged_bar

COLUMNS = (
    Column("Method", share=1),
    Column("Seed", width=4, right=True, from_width=50),
    Column("Validation", width=20),
    Column("Calls", width=7, right=True, from_width=66),
    Column("Rules", width=5, right=True, from_width=74),
    Column("Demos", width=5, right=True, from_width=74),
)
EMPTY = "The first method begins after the baseline."
EMPTY_ELSEWHERE = "A contest has none of these: 1 shows its methods, 4 what they made."
EMPTY_ARTIFACTS = "What each method made is saved at the end."
LEGEND = "\u25cf score  \u2501 its interval  \u250a baseline"
_NAMED = 32
"""Columns that the name of a method and its seed may take beside the line of its score."""


def paint(row: LaneFinished, _widths: Sequence[int]) -> Sequence[Line]:
    """Return a lane's cells; without a result, its problem stands where the score would."""
    score = line(score_text(row.validation)) if row.validation else line("\u2717 no result", "bad")
    made = (str(row.rules), str(row.demonstrations)) if row.validation else ("", "")
    return (
        line(row.method, "strong"),
        line(str(row.number)),
        score,
        line(f"{row.calls:,}"),
        *(line(count) if count else BLANK for count in made),
    )


def lane_lines(row: LaneFinished, columns: int) -> list[Line]:
    """Return everything about a lane: what it scored, used and made, or why it has no result."""
    lines = paragraph(one_line(row.problem), columns, "bad") if row.problem else []
    if row.validation is not None:
        lines += fact("validation", f"{score_text(row.validation)}, n = {row.validation.n}", columns)
        made = f"{count_text(row.rules, 'rule')}, {count_text(row.demonstrations, 'demonstration')}"
        lines += fact("made", made, columns)
    lines += fact("used", count_text(row.calls, "call"), columns)
    lines += fact("", tokens_text(row.tokens), columns, "dim")
    lines += fact("seed", str(row.seed), columns)
    return lines + fact("recorded as", row.lane, columns, "dim")


def title(row: LaneFinished) -> str:
    """Return what a lane is called."""
    return f"{row.method}, seed {row.number}"


def score_lines(rows: Sequence[LaneFinished], baseline: Interval | None, columns: int) -> list[Line]:
    """Return a line for each lane that has a score, the best first: its interval between 0 and 1."""
    scored = [(row.validation, title(row)) for row in rows if row.validation is not None]
    if not scored or baseline is None:
        return [line(" No method has a score yet.", "dim")]
    scored.sort(key=lambda one: -one[0].score)
    wide = min(_NAMED, max(len(name) for _, name in scored))
    room = max(columns - wide - len(" ") - len(" 0.000 "), 10)
    lines: list[Line] = []
    for score, name in scored:
        bar = ranged_bar(score.score, score.low, score.high, room, ends=(0.0, 1.0), mark=baseline.score)
        lines.append(((f" {name[:wide]:<{wide}}", "strong"), (f" {score.score:.3f} ", ""), *bar))
    return [*lines, ((" " * (wide + len("  0.000 ")), ""), (f"0{'1':>{room - 1}}", "dim"))]

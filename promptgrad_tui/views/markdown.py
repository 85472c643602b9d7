"""Markdown of which nothing but the layout is ours: tables, scores and diffs, every text escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.ground.interval import Interval
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import score_text
from promptgrad_tui.views.sanitize import one_line, visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&@$])")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; cells must be escaped already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return text on one line in which nothing is Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", one_line(text))


def interval_text(interval: Interval | None) -> str:
    """Return a score with its interval and the number of examples, escaped."""
    return escaped(f"{score_text(interval)}, n = {interval.n}") if interval else "-"


def diff_block(before: str, after: str) -> str:
    """Return two texts as a fenced diff."""
    lines = [f"{sign}{line}" for sign, line in line_diff(before, after)]
    body = visible("\n".join(lines))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}diff\n{body}\n{fence}"

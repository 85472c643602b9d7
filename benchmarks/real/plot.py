"""The results as an SVG: a panel for each task, a line for each method, its interval and its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.real.table import Row, title

_WIDTH, _LEFT, _RIGHT = 780, 280, 60
_LINE, _HEAD, _FOOT, _GAP = 24, 34, 26, 18
_INK, _FAINT, _GRID, _OURS, _PEER = "#1f2328", "#6e7781", "#d8dee4", "#0969da", "#57606a"


def plot(table: Sequence[Row]) -> str:
    """Return the drawing; what failed stands in it as a word."""
    panels, top = [], 8
    for model, task in dict.fromkeys((row.model, row.task) for row in table):
        own = [row for row in table if (row.model, row.task) == (model, task)]
        panels.append(_panel(f"{task}, {model}", own, top))
        top += _HEAD + _LINE * len(own) + _FOOT + _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" '
        f'viewBox="0 0 {_WIDTH} {top}" font-family="system-ui, sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="white"/>', *panels, "</svg>", ""])


def _panel(heading: str, rows: Sequence[Row], top: int) -> str:
    first, bottom = top + _HEAD, top + _HEAD + _LINE * len(rows)
    n = max(row.n for row in rows)
    parts = [_text(12, top + 18, f"{heading}: test score (n = {n}), 95 % interval", weight="600")]
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        parts.append(f'<line x1="{x}" y1="{first}" x2="{x}" y2="{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(x, bottom + 16, f"{tenth / 10:.1f}", anchor="middle", fill=_FAINT))
    base = next((row for row in rows if row.method == "base" and row.scores), None)
    if base is not None:
        x = _x(base.score)
        parts.append(
            f'<line x1="{x}" y1="{first}" x2="{x}" y2="{bottom}" stroke="{_FAINT}" stroke-dasharray="3 3"/>'
        )
    for number, row in enumerate(rows):
        parts += _row(row, first + _LINE * number + _LINE // 2)
    return "\n".join(parts)


def _row(row: Row, y: int) -> list[str]:
    is_ours = row.method.startswith("promptgrad")
    colour = _OURS if is_ours else _PEER
    weight = "600" if is_ours else "400"
    parts = [_text(_LEFT - 12, y + 4, title(row.method), anchor="end", weight=weight)]
    if not row.scores:
        return [*parts, _text(_LEFT + 6, y + 4, "failed", fill=_FAINT)]
    low, middle, high = _x(row.low), _x(row.score), _x(row.high)
    parts.append(f'<line x1="{low}" y1="{y}" x2="{high}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
    if len(row.scores) > 1:
        parts += [
            f'<circle cx="{_x(score)}" cy="{y}" r="2.5" fill="white" stroke="{colour}"/>'
            for score in row.scores
        ]
    parts.append(f'<circle cx="{middle}" cy="{y}" r="5" fill="{colour}"/>')
    parts.append(_text(_WIDTH - 12, y + 4, f"{row.score:.3f}", anchor="end", weight=weight))
    return parts


def _x(score: float) -> float:
    return round(_LEFT + score * (_WIDTH - _LEFT - _RIGHT), 1)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400", fill: str = _INK
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">'
        f"{escape(text)}</text>"
    )

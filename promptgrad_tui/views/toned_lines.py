"""Lines of toned text: what a table or a text view draws, known without a screen.

A line is a tuple of (text, tone) runs. Tones are names, a screen gives them colours; what a tone says is
always said by a sign or a word as well, so that nothing is lost without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from rich.cells import cell_len, set_cell_size

from promptgrad_tui.views.sanitize import visible

Tone: TypeAlias = Literal["", "good", "bad", "warn", "dim", "accent", "strong"]
Line: TypeAlias = tuple[tuple[str, Tone], ...]

BLANK: Line = ()
ELLIPSIS = "\u2026"
CURSOR = "\u25b8"
"""Stands before what is chosen: it must be seen without colours too."""
WRITING = "\u258c"
"""Stands after a text that is being written."""


def line(text: str, tone: Tone = "") -> Line:
    """Return a line of one tone."""
    return ((text, tone),)


def plain(runs: Line) -> str:
    """Return a line's text alone."""
    return "".join(text for text, _ in runs)


def joined(lines: Iterable[Line], gap: str = "  ") -> Line:
    """Return the lines that aren't empty as one, with `gap` between them."""
    result: list[tuple[str, Tone]] = []
    for runs in lines:
        if plain(runs):
            result += [(gap, ""), *runs] if result else runs
    return tuple(result)


def joined_within(lines: Iterable[Line], columns: int) -> Line:
    """Return as many of the lines as fit into `columns` cells as one, closer together if needed."""
    parts = [runs for runs in lines if plain(runs)]
    for gap in ("   ", "  "):
        whole = joined(parts, gap)
        if cell_len(plain(whole)) <= columns:
            return whole
    return joined_within(parts[:-1], columns) if len(parts) > 1 else whole


def fitted(runs: Line, columns: int, *, right: bool = False) -> Line:
    """Return a line of exactly `columns` terminal cells: cut with an ellipsis, or filled with spaces."""
    if columns <= 0:
        return BLANK
    safe = [(visible(text).replace("\n", " "), tone) for text, tone in runs]
    width = sum(cell_len(text) for text, _ in safe)
    if width > columns:
        return _cut(safe, columns)
    filling: tuple[str, Tone] = (" " * (columns - width), "")
    return (filling, *safe) if right else (*safe, filling)


def tail(text: str, columns: int) -> str:
    """Return the end of a text that is being written, in at most `columns` cells, with a mark after it."""
    cut, width = len(text), 0
    while cut and width + cell_len(text[cut - 1]) <= columns - 2:
        cut -= 1
        width += cell_len(text[cut])
    return f"{ELLIPSIS if cut else ''}{text[cut:]}{WRITING}"


def shortened(text: str, columns: int, keep: int) -> str:
    """Return a text of one line in at most `columns` cells, cut in the middle: its last `keep` stay."""
    if cell_len(text) <= columns or columns <= keep + 1:
        return text
    return set_cell_size(text, columns - keep - 1) + ELLIPSIS + text[-keep:]


def score_bar(score: float, low: float, high: float, columns: int, tone: Tone = "accent") -> Line:
    """Return a score from 0 to 1 on a line, with its interval: `━` the interval, `●` the score."""
    first, mean, last = (round(min(max(value, 0.0), 1.0) * (columns - 1)) for value in (low, score, high))
    cells = "".join(
        "\u25cf" if n == mean else "\u2501" if first <= n <= last else "\u2500" for n in range(columns)
    )
    return ((cells[:first], "dim"), (cells[first : last + 1], tone), (cells[last + 1 :], "dim"))


def _cut(runs: Iterable[tuple[str, Tone]], columns: int) -> Line:
    left = columns - 1
    kept: list[tuple[str, Tone]] = []
    for text, tone in runs:
        size = cell_len(text)
        if size > left:
            kept.append((set_cell_size(text, left) + ELLIPSIS, tone))
            break
        kept.append((text, tone))
        left -= size
    return tuple(kept)


def error_bars(counts: Mapping[str, int], columns: int) -> Line:
    """Return error types as small bars, the most frequent first: `wrong_queue ▇▇▇3  unparseable ▇1`."""
    parts: list[Line] = []
    for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        parts.append(((f"{name} ", ""), ("\u2587" * min(count, 10), "bad"), (f" {count}", "dim")))
    return fitted(joined(parts), columns) if columns else joined(parts)


def interval_bar(delta: float, low: float, high: float, columns: int, scale: float = 1.0) -> Line:
    """Return a difference with its interval on a line from -scale to +scale; `┊` marks 0."""
    return ranged_bar(delta, low, high, columns, ends=(-scale, scale), mark=0.0)


def ranged_bar(
    value: float, low: float, high: float, columns: int, *, ends: tuple[float, float], mark: float
) -> Line:
    """Return a value with its interval on a line between two ends; `┊` marks what it is compared with.

    The interval is drawn with `━`, its mean with `●`; where it reaches beyond the line, an arrow says so.
    """
    start, end = ends

    def place(at: float) -> int:
        return round((min(max(at, start), end) - start) / (end - start) * (columns - 1))

    cells = ["\u2500"] * columns
    first, last = place(low), place(high)
    cells[first : last + 1] = ["\u2501"] * (last + 1 - first)
    cells[place(mark)] = "\u250a" if not first <= place(mark) <= last else "\u253f"
    if low < start:
        cells[0] = "\u25c2"
    if high > end:
        cells[-1] = "\u25b8"
    cells[place(value)] = "\u25cf"
    tone: Tone = "good" if low > mark else "bad" if high < mark else "warn"
    drawn = "".join(cells)
    parts: list[tuple[str, Tone]] = [(drawn[:first], "dim"), (drawn[first : last + 1], tone)]
    return (*parts, (drawn[last + 1 :], "dim"))


def progress_bar(share: float, columns: int) -> Line:
    """Return a bar of `columns` cells, `share` (0..1) of it filled; it is full only at 1."""
    filled = columns if share >= 1 else min(int(share * columns), columns - 1)
    return (("\u2501" * filled, "accent"), ("\u2500" * (columns - filled), "dim"))

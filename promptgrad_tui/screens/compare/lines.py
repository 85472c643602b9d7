"""The lines above a comparison: its title and the filters."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from promptgrad_tui.screens.compare.state import FILTERS, CompareState, Filter
from promptgrad_tui.views.comparison.lines import tone_of, verdict_text
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, Tone, joined, line, plain, shortened

_HEAD, _ARROW = " Compare  ", " \u2192 "
_KEPT = 6
"""The end of a cut title tells versions of an artifact apart; a method's name is kept whole."""


def title_lines(state: CompareState, columns: int) -> list[Line]:
    """Return what is compared, and what the paired gain says."""
    found = state.comparison
    before, after = _fitted(one_line(found.before.title), one_line(found.after.title), columns)
    scores = found.scores[state.split]
    parts = [line(f" {verdict_text(scores, state.split)}", tone_of(scores.gain))]
    if found.notes:
        parts.append(line(f"! {count_text(len(found.notes), 'note')} in Scores", "warn"))
    names: Line = (
        (_HEAD, "strong"),
        (before, ""),
        (_ARROW, "dim"),
        (after, "accent"),
    )
    return [names, joined(parts)]


def _fitted(before: str, after: str, columns: int) -> tuple[str, str]:
    """Return two titles that fit beside each other; the longer is cut first."""
    room = columns - cell_len(_HEAD + _ARROW)
    first = min(cell_len(before), max(room // 2, room - cell_len(after)))
    return _shortened(before, first), _shortened(after, room - first)


def _shortened(title: str, columns: int) -> str:
    _, comma, method = title.rpartition(", ")
    return shortened(title, columns, min(len(comma + method), columns - 6) if comma else _KEPT)


def filter_line(state: CompareState, columns: int) -> Line:
    """Return the filters with how many examples each lets through; the one that is set in brackets.

    If there is no room for all of them, filters without examples are left out.
    """
    whole = _filters(state, FILTERS)
    if cell_len(plain(whole)) <= columns:
        return whole
    counts = state.counts()
    return _filters(state, [name for name in FILTERS if counts[name] or name == state.filter])


def _filters(state: CompareState, names: Iterable[Filter]) -> Line:
    counts = state.counts()
    runs: list[tuple[str, Tone]] = [(f" {state.split}: ", "dim")]
    for name in names:
        text = f"{name} {counts[name]}"
        is_set = name == state.filter
        runs.append((f"[{text}]" if is_set else f" {text} ", "strong" if is_set else "dim"))
    return tuple(runs)

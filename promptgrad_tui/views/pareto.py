"""Score against cost: the front of candidates, and what dominates the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.release.objectives.candidates import Candidate
from engine.release.objectives.front import Placed
from promptgrad_tui.views.figures import count_text, score_text
from promptgrad_tui.views.sanitize import fit, one_line, wrap
from promptgrad_tui.views.scatter import Point, scatter_lines
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal

HEAD = ("candidate", "score", "prompt", "reused", "answer", "mean ms", "p95 ms")
NOTE = (
    "Tokens and times are means for one example of validation; p95 is the time within which 95 % were "
    "answered. Times are those of this machine, with whatever else the model was asked at that moment."
)
_NAME = 30


def pareto_data(placed: Iterable[Placed]) -> list[dict[str, Any]]:
    """Return what `promptgrad pareto --json` prints."""
    return [
        {
            **one.candidate.as_dict(),
            "is_on_front": one.dominated_by is None,
            "dominated_by": one.dominated_by.as_dict() if one.dominated_by else None,
        }
        for one in placed
    ]


def rows(candidates: Sequence[Candidate]) -> list[list[str]]:
    """Return candidates as cells of `HEAD`."""
    several = len({candidate.run for candidate in candidates}) > 1
    return [
        [
            _name(candidate, with_run=several),
            f"{candidate.score.score:.3f}",
            f"{candidate.prompt_tokens:,.0f}",
            f"{candidate.reused_tokens:,.0f}",
            f"{candidate.answer_tokens:,.0f}",
            _ms(candidate.latency),
            _ms(candidate.p95_latency),
        ]
        for candidate in candidates
    ]


def on_front(placed: Sequence[Placed]) -> list[Candidate]:
    """Return the candidates that nothing dominates."""
    return [one.candidate for one in placed if one.dominated_by is None]


def points(placed: Sequence[Placed]) -> list[Point]:
    """Return all candidates as scores over prompt tokens, those on the front first."""
    several = len({one.candidate.run for one in placed}) > 1
    return [
        Point(
            _name(one.candidate, with_run=several) + (", dominated" if one.dominated_by else ""),
            one.candidate.prompt_tokens,
            one.candidate.score,
        )
        for one in placed
    ]


def dominated_texts(placed: Sequence[Placed]) -> list[str]:
    """Return a sentence for each dominated candidate: what dominates it, and by how much."""
    several = len({one.candidate.run for one in placed}) > 1
    return [
        f"{_name(one.candidate, with_run=several)} is dominated by "
        f"{_name(one.dominated_by, with_run=several)}: {_difference(one.dominated_by, one.candidate)}."
        for one in placed
        if one.dominated_by is not None
    ]


def pareto_lines(placed: Sequence[Placed], terminal: Terminal) -> list[str]:
    """Return the front as lines: table, plot, and the dominated candidates."""
    if not placed:
        return ["No candidate was scored on all of validation."]
    best = on_front(placed)
    n = placed[0].candidate.score.n
    title = f"{count_text(len(best), 'candidate')} on the front, of {len(placed)}; validation, n = {n}"
    lines = [terminal.style(title, bold=True), ""]
    lines += table_lines(HEAD, rows(best), terminal, right=range(1, len(HEAD)), indent=2)
    dominated = dominated_texts(placed)
    if dominated:
        lines += ["", terminal.style("Dominated", bold=True)]
        for text in dominated:
            lines += wrap(text, terminal.columns, "    ", "  ")
    drawn = scatter_lines(points(placed), "prompt tokens", terminal.columns)
    if drawn:
        lines += ["", terminal.style("Score over prompt tokens", bold=True), *drawn]
    lines += ["", *(f"  {_name(one)}: {score_text(one.score)}" for one in best)]
    return [*lines, "", *wrap(NOTE, terminal.columns, "  ", "  ")]


def _name(candidate: Candidate, *, with_run: bool = False) -> str:
    name = fit(one_line(candidate.name), _NAME)
    return f"{name} ({candidate.run[-4:]})" if with_run else name


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f}"


def _difference(better: Candidate, worse: Candidate) -> str:
    parts = []
    if gain := better.score.score - worse.score.score:
        parts.append(f"score {gain:+.3f}")
    for name, mine, its in (
        ("prompt tokens", better.prompt_tokens, worse.prompt_tokens),
        ("answer tokens", better.answer_tokens, worse.answer_tokens),
    ):
        change = mine - its
        if round(change, 1):
            parts.append(f"{change:+,.0f} {name}" if abs(change) >= 1 else f"{change:+.1f} {name}")
    if better.latency is not None and worse.latency is not None and better.latency < worse.latency:
        parts.append(f"{(better.latency - worse.latency) * 1000:+,.0f} ms")
    return ", ".join(parts)

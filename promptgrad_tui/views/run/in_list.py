"""A run in a list of runs: the cells of its row, and its facts in short."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.journal.events import KeptRule, SplitScores
from engine.journal.journal import RunRecord
from promptgrad_tui.views.figures import count_text, duration_text, gain_text, score_text, value_text
from promptgrad_tui.views.run.headline import headline_of
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.text_blocks import fact, heading, paragraph
from promptgrad_tui.views.toned_lines import Line, Tone, line

DELETED = (
    "Its events, decisions, logs and drafts are deleted for good. Its artifacts stay, other runs still know "
    "its answers, and the test splits that it opened stay counted."
)
"""What is said before a run is deleted."""


def run_cells(row: RunRecord) -> Sequence[Line]:
    """Return a run's cells in a list of runs."""
    summary = row.summary
    baseline = summary.baseline if summary else SplitScores()
    return (
        line(one_line(row.name) or row.id, "strong"),
        (_state(row),),
        _change(baseline, row.optimized, "validation"),
        _change(baseline, row.optimized, "test"),
        line("" if row.n_rules is None else str(row.n_rules)),
        line(f"{summary.calls:,}" if summary else "", "dim"),
        line(duration_text(summary.seconds) if summary else "", "dim"),
        line(
            time.strftime("%Y-%m-%d %H:%M", time.localtime(row.last_event)) if row.last_event else "", "dim"
        ),
    )


def _state(row: RunRecord) -> tuple[str, Tone]:
    """Return the state of a run: a sign and a word or two, with their tone."""
    end = headline_of(row.status, row.summary)
    if end is None:
        return ("\u25b6 reviewing" if row.summary else "\u25b6 running", "accent")
    word, tone = end.run
    return (f"{word}, reviewed" if row.review else word, tone)


def _change(before: SplitScores, after: SplitScores, split: str) -> Line:
    old, new = getattr(before, split), getattr(after, split)
    if old is None:
        return line("-", "dim")
    if new is None:
        return line(value_text(old.score))
    gained = new.score > old.score
    return ((f"{value_text(old.score)} \u2192 ", "dim"), (value_text(new.score), "good" if gained else ""))


def fact_lines(row: RunRecord, columns: int) -> list[Line]:
    """Return what a person wrote on a run, why it ended, its result and its rules."""
    summary = row.summary
    lines = fact("run", row.id, columns) if row.name else []
    lines += fact("note", row.note, columns, "accent") if row.note else []
    if summary is None:
        is_lost = row.status == "interrupted"
        text = "Its process ended early: enter opens it, R resumes it." if is_lost else "It is in progress."
        return [*lines, *paragraph(text, columns, "dim")]
    lines += fact("ended", one_line(summary.reason.split("\n")[0]), columns)
    lines += fact("model", f"{summary.model.uri} ({summary.model.short})", columns)
    if review := row.review:
        scores = [("validation", review.validation), ("test", review.test)]
        scored = [f"{name} {score_text(score)}" for name, score in scores if score is not None]
        lines += fact(f"review {review.number}", "; ".join(scored), columns, "accent")
    artifact = row.review.artifact if row.review else summary.artifact
    if artifact:
        lines += fact("artifact", artifact, columns)
    elif summary.withheld:
        lines += fact("withheld", summary.withheld, columns, "warn")
    for gate in summary.gates:
        if not gate.passed:
            lines += fact("gate", f"{gate.gate} failed", columns, "bad")
    rules = [KeptRule.of(rule) for rule in row.review.rules] if row.review else summary.rules
    lines += heading(count_text(len(rules), "rule").capitalize())
    for rule in rules:
        gain = f"  {gain_text(rule.delta)}  " if rule.delta is not None else " " * 10
        first, *rest = wrap(one_line(rule.text), columns, " " * len(gain), gain)
        lines += [((gain, "dim"), (first.removeprefix(gain), "")), *map(line, rest)]
    return lines

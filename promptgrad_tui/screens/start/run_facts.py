"""A run in short: what the start page tells of the one under the cursor."""

from __future__ import annotations

from engine.journal.events import KeptRule
from engine.journal.journal import RunRecord
from promptgrad_tui.screens.widgets.details import fact, heading, paragraph
from promptgrad_tui.views.figures import count_text, score_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.toned_lines import Line, line


def fact_lines(row: RunRecord, columns: int) -> list[Line]:
    """Return why a run ended, what came of it, and its rules."""
    summary = row.summary
    if summary is None:
        is_lost = row.status == "interrupted"
        told = "Its process ended early: enter opens it, R goes on." if is_lost else "It is under way."
        return paragraph(told, columns, "dim")
    lines = fact("ended", one_line(summary.reason.split("\n")[0]), columns)
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
        gain = f"  {rule.delta:+.2f}  " if rule.delta is not None else "         "
        first, *rest = wrap(one_line(rule.text), columns, " " * len(gain), gain)
        lines += [((gain, "dim"), (first.removeprefix(gain), "")), *map(line, rest)]
    return lines

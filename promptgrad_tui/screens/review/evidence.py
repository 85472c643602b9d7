"""The evidence for one rule of a review: what it broke and fixed first, then all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.journal.decisions import Decision
from engine.journal.events import RolloutFinished
from engine.programs.formatting import as_text
from engine.programs.rules import Rule, RuleSet, render_instructions
from promptgrad_tui.screens.keys.actions import key_of
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.lines import decided_rule, edit_test_text, word
from promptgrad_tui.screens.review.state import ReviewItem, ReviewState
from promptgrad_tui.views.figures import count_text, gain_text
from promptgrad_tui.views.run.details import (
    MOST_EXAMPLES,
    demonstration_lines,
    diff_lines,
    judged_lines,
    judged_text,
    sides_of,
    success_mark,
)
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.text_blocks import fact, heading, paragraph
from promptgrad_tui.views.toned_lines import ELLIPSIS, Line, interval_bar, joined, line

_ROWS_OF_INPUT = 2
_SHORT = 12
_WIDEST_BAR = 24


def evidence_title(row: TestRow, number: int) -> str:
    """Return the line above the evidence: the rule's number, and how many examples it changed."""
    finished = row.finished
    if finished is None or finished.evidence is None:
        return f"{number}  untested"
    return f"{number}  fixed {len(finished.fixed)} \u00b7 broke {len(finished.broken)}"


def evidence_lines(
    session: RunSession,
    state: ReviewState,
    item: ReviewItem,
    row: TestRow,
    earlier: Mapping[int, Decision],
    columns: int,
) -> list[Line]:
    """Return the gain, the decisions here and in `earlier` reviews by number, then examples and reasons."""
    decision = state.decision(item.id)
    lines = _gain_lines(row, columns)
    if item.demonstration is not None:
        lines += demonstration_lines(item.demonstration, columns)
    else:
        lines += paragraph(f"{_ACTIONS.get(row.action, '')}{row.rule.text}", columns, "strong")
    if row.is_set:
        together = len(row.members) + len(row.demonstrations)
        lines += fact("tested", f"as one of {together} together: {row.source}", columns, "dim")
    if decision is not None and decision.text:
        lines += fact("your text", decision.text, columns, "accent")
        lines += fact("your trigger", decision.trigger, columns, "accent") if decision.trigger else []
        tested = edit_test_text(session, row.rule, decision)
        now, later = key_of("review.try_edit"), key_of("review.apply")
        untested = f"untested: {now} tests it now; {later} tests it before it counts"
        lines += fact("the edit", tested or untested, columns)
    if note := state.note(item.id):
        lines += fact("your note", note, columns, "accent")
    for number, before in earlier.items():
        lines += _earlier_lines(session, row.rule, number, before, columns)
    finished = row.finished
    if finished is not None and finished.evidence is not None:
        lines += changed_lines(session, row, "Broken", finished.broken, columns)
        lines += changed_lines(session, row, "Fixed", finished.fixed, columns)
    lines += _reason_lines(session, row, columns)
    return lines if item.demonstration is not None else lines + _prompt_lines(session, row, decision, columns)


_ACTIONS = {"remove": "Remove: ", "merge": "Merge: "}


def _gain_lines(row: TestRow, columns: int) -> list[Line]:
    evidence = row.finished.evidence if row.finished else None
    if evidence is None:
        return [line("  It was kept without a test of its own.", "dim")] if row.state == "not_tested" else []
    gain = f"  {gain_text(evidence.delta, evidence.low, evidence.high)}  n {evidence.n}"
    bar = min(columns - len(gain) - 4, _WIDEST_BAR)
    drawn = interval_bar(evidence.delta, evidence.low, evidence.high, bar, scale=0.5) if bar > 8 else ()
    return [joined([line(gain), drawn])]


def changed_lines(
    session: RunSession, row: TestRow, title: str, keys: Sequence[str], columns: int
) -> list[Line]:
    """Return the examples that a rule fixed or broke: both answers, and the part of the input that counts."""
    if not keys:
        return [line(f"{title}: none", "dim")]
    lines = [line(f"{title}: {len(keys)}", "strong")]
    for key in keys[:MOST_EXAMPLES]:
        lines += example_lines(session, row, key, columns)
    if len(keys) > MOST_EXAMPLES:
        lines.append(line(f"  and {len(keys) - MOST_EXAMPLES} more", "dim"))
    return lines


def example_lines(session: RunSession, row: TestRow, key: str, columns: int) -> list[Line]:
    """Return an example that a rule changed: its name, both answers, and the telling part of its input."""
    values = session.example(key) or {}
    before, after = sides_of(session, row, key)
    answered = {*(before.prediction or {} if before else {}), *(after.prediction or {} if after else {})}
    texts = {name: one_line(as_text(value)) for name, value in values.items() if name not in answered}
    name = texts.pop("id", "") or key[:_SHORT]
    short = [text for text in texts.values() if len(text) <= _SHORT]
    head = joined(
        [
            line(f"  {name}", "accent"),
            line(" ".join(short), "dim"),
            (*_answer(before, values), (" \u2192 ", "dim"), *_answer(after, values)),
        ]
    )
    said = " ".join(text for text in texts.values() if len(text) > _SHORT)
    return [head, *(line(part) for part in _telling_rows(said, row.rule.trigger, columns))]


def _answer(event: RolloutFinished | None, expected: Mapping[str, Any]) -> Line:
    if event is None:
        return line("not in the journal", "dim")
    sign, tone = success_mark(event.is_success)
    return ((f"{sign} ", tone), (judged_text(event, expected), tone))


def _telling_rows(text: str, trigger: str, columns: int) -> list[str]:
    """Return a text in two rows at most; where it is longer, from before a word of the trigger."""
    rows = wrap(text, columns, "    ")
    if len(rows) <= _ROWS_OF_INPUT:
        return rows
    words = [word.casefold() for word in trigger.replace(",", " ").split()]
    met = [n for n, row in enumerate(rows) if any(word in row.casefold() for word in words)]
    first = max(min((met or [0])[0], len(rows) - _ROWS_OF_INPUT), 0)
    shown = rows[first : first + _ROWS_OF_INPUT]
    if first:
        shown[0] = f"   {ELLIPSIS}{shown[0].lstrip()}"
    if first + _ROWS_OF_INPUT < len(rows):
        shown[-1] = f"{shown[-1][: columns - 1]}{ELLIPSIS}"
    return shown


def _reason_lines(session: RunSession, row: TestRow, columns: int) -> list[Line]:
    rule = row.rule
    lines: list[Line] = heading("Why")
    if rule.rationale:
        lines += paragraph(rule.rationale, columns, "dim")
    lines += judged_lines(row, columns)
    if rule.suggested_by:
        lines += heading(f"Suggested by the failures on {count_text(len(rule.suggested_by), 'example')}")
        for key in rule.suggested_by:
            values = session.example(key) or {"example": key}
            shown = "  ".join(one_line(as_text(value)) for value in values.values())
            lines += [line(part) for part in wrap(shown, columns, "    ", "  ")[:_ROWS_OF_INPUT]]
    return lines


def _earlier_lines(
    session: RunSession, rule: Rule, number: int, decision: Decision, columns: int
) -> list[Line]:
    choice, note = word(decision.kind), decision.note
    name = f"review {number}" if number else "in the run"
    if not decision.text:
        return fact(name, f"{choice}; {note}" if note else choice, columns)
    lines = fact(name, f"{choice}: {decision.text}", columns)
    for remark in (edit_test_text(session, rule, decision), note):
        lines += fact("", remark, columns) if remark else []
    return lines


def _prompt_lines(session: RunSession, row: TestRow, decision: Decision | None, columns: int) -> list[Line]:
    lines = heading("The prompt with it")
    started = session.live.started
    before = session.live.rules_of(row.before)
    if row.state == "not_tested":
        before = RuleSet(session.live.rules_now).removing(row.rule).rules
    if started is None or before is None:
        return [*lines, line("  not known", "dim")]
    name = row.rule.predictor or next(iter(started.base_instructions))
    base = started.base_instructions.get(name, "")
    rules = RuleSet(before)
    rule = decided_rule(row.rule, decision)
    after = rules.removing(rule) if row.action == "remove" else rules.adding(rule)
    old, new = (render_instructions(base, some.for_predictor(row.rule.predictor)) for some in (rules, after))
    return [*lines, *diff_lines(old, new, columns)]

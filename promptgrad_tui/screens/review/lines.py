"""The review as lines: what stands above, a rule in the queue, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.journal.decisions import Decision, DecisionKind
from engine.journal.events import ReviewApplied
from engine.programs.rules import Rule, RuleSet, render_instructions
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.state import ReviewItem, ReviewState
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.run.details import diff_lines, rule_test_lines
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.run.shared_start import telling_part
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import fact, heading
from promptgrad_tui.views.toned_lines import Line, Tone, interval_bar, joined_within, line

COLUMNS = (
    Column("Decision", width=12),
    Column("Now", width=3, from_width=44),
    Column("Gain", width=6, right=True),
    Column("", width=15, from_width=75),
    Column("Rule", share=1),
)
_BAR, _RULE = 3, 4
CHOICES: dict[DecisionKind | None, tuple[str, Tone]] = {
    None: ("\u00b7 undecided", "dim"),
    "keep": ("\u2713 keep", "good"),
    "drop": ("\u2717 drop", "bad"),
    "edit": ("\u270e edit", "accent"),
    "merge": ("\u2295 merge", "accent"),
}


def title_line(session: RunSession, state: ReviewState, columns: int) -> Line:
    """Return where a person is in the queue, what was decided, and what the run makes of it now."""
    position, count = state.position
    counts = state.counts()
    parts = [line(f" Review [{position}/{count}]", "strong")]
    for choice in CHOICES:
        if counts[choice]:
            parts.append(line(f"{counts[choice]} {word(choice)}", CHOICES[choice][1]))
    parts.append(_standing(session, state))
    if state.filter:
        parts.append(line(f"filter: {one_line(state.filter)}", "warn"))
    if state.order != "arrival":
        parts.append(line(f"sorted by {state.order}", "dim"))
    return joined_within(parts, columns)


def _standing(session: RunSession, state: ReviewState) -> Line:
    if session.is_applying:
        return line("applying \u2026", "accent")
    if state.is_changed or (state.applied and session.live.finished is not None):
        text = "not applied yet" if can_be_applied(session) else "to be applied after the run"
        return line(text, "warn")
    awaited = session.awaited
    return line(f"the run waits for {awaited}" if awaited else "", "warn")


def can_be_applied(session: RunSession) -> bool:
    """Whether decisions count for a run as it stands: it is done, or it asks for them while it runs."""
    live = session.live
    return live.is_done or (live.finished is None and live.has_asked)


def word(choice: DecisionKind | None) -> str:
    """Return a choice as a word."""
    return CHOICES[choice][0][2:]


def paint(
    state: ReviewState, item: ReviewItem, widths: Sequence[int], *, is_in: bool, start: str
) -> Sequence[Line]:
    """Return a rule's cells: `is_in` says whether it is among the rules as they are now.

    `start` is what most rules begin with: where there is little room, it is left out.
    """
    decision = state.decision(item.id)
    text, tone = CHOICES[decision.kind if decision else None]
    mark = "\u25cf" if item.id in state.applied else ""
    sign = "- " if item.action == "remove" else ""
    note = " \u270d" if state.note(item.id) else ""
    rule = one_line(decision.text if decision and decision.text else item.rule.text)
    rule = telling_part(rule, start, widths[_RULE], beside=len(sign) + len(note))
    return (
        line(f"{text}{mark}", tone),
        line("in" if is_in else "out", "" if is_in else "dim"),
        line(f"{item.gain:+.2f}", "good" if item.gain > 0 else "warn")
        if item.rule.evidence
        else line("-", "dim"),
        _bar(item, widths[_BAR]),
        line(f"{sign}{rule}{note}", "dim" if decision and decision.kind == "drop" else ""),
    )


def _bar(item: ReviewItem, columns: int) -> Line:
    evidence = item.rule.evidence
    if evidence is None or not columns:
        return ()
    return interval_bar(evidence.delta, evidence.low, evidence.high, columns, scale=0.5)


def evidence_lines(
    session: RunSession,
    state: ReviewState,
    row: TestRow,
    earlier: Mapping[int, Decision],
    columns: int,
) -> list[Line]:
    """Return what was decided on a rule, here and in `earlier` reviews by number, then its evidence."""
    decision = state.decision(row.rule.id)
    lines: list[Line] = []
    if decision is not None and decision.text:
        lines += fact("your text", decision.text, columns, "accent")
        lines += fact("your trigger", decision.trigger, columns, "accent") if decision.trigger else []
    if decision is not None and (told := _edit_test(session, row.rule, decision)):
        lines += fact("the edit", told, columns)
    if note := state.note(row.rule.id):
        lines += fact("your note", note, columns, "accent")
    for number, before in earlier.items():
        lines += _earlier_lines(session, row.rule, number, before, columns)
    lines += rule_test_lines(session, row, columns)
    return [*lines, *heading("The prompt with it"), *_prompt(session, row, decision, columns)]


def _earlier_lines(
    session: RunSession, rule: Rule, number: int, decision: Decision, columns: int
) -> list[Line]:
    choice, note = word(decision.kind), decision.note
    name = f"review {number}" if number else "in the run"
    if not decision.text:
        return fact(name, f"{choice}; {note}" if note else choice, columns)
    lines = fact(name, f"{choice}: {decision.text}", columns)
    for told in (_edit_test(session, rule, decision), note):
        lines += fact("", told, columns) if told else []
    return lines


def _edit_test(session: RunSession, rule: Rule, decision: Decision) -> str:
    """Return what the test of an edit said, or nothing where it wasn't tested."""
    test = edit_test(session, rule, decision)
    if test is None or test.finished is None:
        return ""
    counts = "doesn't count" if test.finished.verdict == "rejected" else "counts"
    return f"{counts}: {test.finished.reason}"


def edit_test(session: RunSession, rule: Rule, decision: Decision) -> TestRow | None:
    """Return the latest test of the rule that an edit or a merge made of `rule`."""
    if not decision.text:
        return None
    edited = decided_rule(rule, decision).id
    tests = reversed(session.live.tests.values())
    return next((test for test in tests if test.rule.id == edited and test.finished), None)


def _prompt(session: RunSession, row: TestRow, decision: Decision | None, columns: int) -> list[Line]:
    started = session.live.started
    before = session.live.rules_of(row.before)
    if row.state == "not_tested":
        before = RuleSet(session.live.rules_now).removing(row.rule).rules
    if started is None or before is None:
        return [line("  not known", "dim")]
    name = row.rule.predictor or next(iter(started.base_instructions))
    base = started.base_instructions.get(name, "")
    rules = RuleSet(before)
    rule = decided_rule(row.rule, decision)
    after = rules.removing(rule) if row.action == "remove" else rules.adding(rule)
    old, new = (render_instructions(base, some.for_predictor(row.rule.predictor)) for some in (rules, after))
    return diff_lines(old, new, columns)


def decided_rule(rule: Rule, decision: Decision | None) -> Rule:
    """Return a rule as it says after a decision."""
    if decision is None or not decision.text:
        return rule
    return rule.model_copy(update={"text": decision.text, "trigger": decision.trigger})


def applied_text(
    session: RunSession,
    review: ReviewApplied,
    tests: Mapping[str, TestRow],
    decisions: Mapping[str, Decision],
) -> str:
    """Return what came of a review of a run that is over; `decisions` are those of it."""
    scores = [("validation", review.validation), ("test", review.test)]
    told = [count_text(len(review.rules), "rule"), *(f"{name} {s.score:.3f}" for name, s in scores if s)]
    text = f"Review {review.number} is applied: {', '.join(told)}."
    edited = [edit_test(session, tests[rule].rule, decision) for rule, decision in decisions.items()]
    failed = {
        test.rule.id for test in edited if test and test.finished and test.finished.verdict == "rejected"
    }
    if failed:
        text += f" {count_text(len(failed), 'edit')} failed the test: not counted."
    return text


def apply_text(state: ReviewState, *, is_over: bool) -> str:
    """Return what it means to apply the decisions; `is_over` says whether the run is."""
    counts = state.counts()
    told = [f"{counts[choice]} {word(choice)}" for choice in CHOICES if choice and counts[choice]]
    text = f"{', '.join(told)}."
    if counts[None]:
        left = "they stay as the run left them" if is_over else "the run waits where it needs them"
        text += f"\n{count_text(counts[None], 'rule')} undecided: {left}."
    if counts["edit"] or counts["merge"]:
        text += "\nEdits are tested first: one that fails doesn't count, and its old rule is out too."
    if is_over:
        return (
            f"{text}\nThe result is scored anew, and saved as another version. A later review may change it."
        )
    return f"{text}\nA decision that is applied stands."

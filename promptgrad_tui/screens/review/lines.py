"""The review as lines: the title, a rule in the queue, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.ground.interval import Evidence
from engine.journal.decisions import Decision, DecisionKind
from engine.journal.events import ReviewApplied
from engine.programs.rules import Rule
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.state import ReviewItem, ReviewState, Settled
from promptgrad_tui.screens.widgets.table import NUMBER, Column
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.figures import count_text, gain_text, value_text
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.run.shared_start import telling_part
from promptgrad_tui.views.run.status import applying_parts
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, Tone, interval_bar, joined, joined_within, line

COLUMNS = (
    Column(NUMBER, width=3, right=True),
    Column("Decision", width=12),
    Column("Gain", width=8, right=True),
    Column("-0.5   0   +0.5", width=15, from_width=100),
    Column("Rule", share=1),
)
_BAR, _RULE = 3, 4
_MARKED = "*"
_DEMONSTRATION = "\u00ab\u00bb "
"""Stands before a demonstration, which is shown in the prompt as it is."""
CHOICES: dict[DecisionKind | None, tuple[str, Tone]] = {
    None: ("\u00b7 open", "dim"),
    "keep": ("\u2713 keep", "good"),
    "drop": ("\u2717 drop", "bad"),
    "edit": ("\u270e edit", "accent"),
    "merge": ("\u2295 merge", "accent"),
}


def title_line(session: RunSession, state: ReviewState, columns: int) -> Line:
    """Return where a person is in the queue, what was decided, and what the run makes of it now."""
    position, count = state.position
    counts = state.counts()
    parts = [line(f" Review {position}/{count}", "strong")]
    decided: list[Line] = [
        line(f"{counts[choice]} {word(choice)}", CHOICES[choice][1])
        for choice in (*(choice for choice in CHOICES if choice), None)
        if counts[choice]
    ]
    if state.n_settled:
        decided.append(line(f"{state.n_settled} settled", "dim"))
    if state.marked:
        parts.append(line(f"{len(state.marked)} marked", "accent"))
    parts += [joined(decided, " \u00b7 "), _standing(session, state)]
    if state.filter:
        parts.append(line(f"filter: {one_line(state.filter)}", "warn"))
    if state.order != "arrival":
        parts.append(line(f"sorted by {state.order}", "dim"))
    return joined_within(parts, columns)


def _standing(session: RunSession, state: ReviewState) -> Line:
    if session.is_testing:
        test = next((row for row in session.live.tests.values() if row.state == "running"), None)
        done = f" {len(test.seen)}/{test.n}" if test is not None else " \u2026"
        return line(f"testing the edit{done}", "accent")
    if session.is_applying:
        return joined(applying_parts(session.status()))
    if state.is_changed or is_left(session, state):
        text = "not applied yet" if can_be_applied(session) else "to be applied after the run"
        return line(text, "warn")
    awaited = session.awaited
    return line(f"the run waits for {awaited}" if awaited else "", "warn")


def can_be_applied(session: RunSession) -> bool:
    """Whether decisions can be applied now: the run has ended, or it asks for them while it runs."""
    live = session.live
    return live.is_done or (live.finished is None and live.has_asked)


def is_left(session: RunSession, state: ReviewState) -> bool:
    """Whether decisions on a finished run were saved and their review wasn't applied."""
    return session.live.finished is not None and bool(state.applied)


def word(choice: DecisionKind | None) -> str:
    """Return a choice as a word."""
    return CHOICES[choice][0][2:]


def paint(
    state: ReviewState,
    item: ReviewItem,
    widths: Sequence[int],
    *,
    is_in: bool,
    start: str,
    edit: TestRow | None = None,
) -> Sequence[Line]:
    """Return a rule's cells: `is_in` says whether it is among the rules as they are now.

    `edit` is the test of an edit of it, if there was one. `start` is what most rules begin with: where there
    is little room, it is left out.
    """
    decision = state.decision(item.id)
    sign = _DEMONSTRATION if item.demonstration is not None else "- " if item.action == "remove" else ""
    note = " \u270d" if state.note(item.id) else ""
    rule = one_line(decision.text if decision and decision.text else item.rule.text)
    beside = len(sign) + len(note)
    if item.demonstration is not None:
        rule = demonstration_text(item.demonstration, max(widths[_RULE] - beside, 0))
    else:
        rule = telling_part(rule, start, widths[_RULE], beside)
    is_out = (decision.kind == "drop") if decision else not is_in
    evidence = item.rule.evidence
    if decision and decision.text:
        evidence = edit.finished.evidence if edit and edit.finished else None
    return (
        line(f"{_MARKED if item.id in state.marked else ''}{state.number_of(item.id)}", "dim"),
        (_decided(state, item, is_in=is_in),),
        _gain(evidence),
        _bar(evidence, widths[_BAR]),
        line(f"{sign}{rule}{note}", "dim" if is_out else ""),
    )


def _decided(state: ReviewState, item: ReviewItem, *, is_in: bool) -> tuple[str, Tone]:
    """Return what was decided on a rule, now or in an earlier review, in a sign and a word."""
    decision = state.decision(item.id)
    if decision is not None:
        text, tone = CHOICES[decision.kind]
        return f"{text}\u25cf" if item.id in state.applied else text, tone
    settled = state.settled.get(item.id)
    if settled is None:
        return ("\u00b7  in", "accent") if is_in else ("\u00b7  out", "dim")
    review = f" r{settled.number}" if settled.number else " run"
    if settled.replacement:
        number = state.number_of(settled.replacement)
        failed = (f"\u2717 failed{review}", "bad")
        replaced = (f"\u21b3 #{number}{review}" if number else f"\u21b3 edited{review}", "accent")
        return failed if settled.has_failed else replaced  # type: ignore[return-value]
    return (
        (f"\u2713 kept{review}", "good")
        if settled.decision.kind == "keep"
        else (
            f"\u2717 dropped{review}",
            "bad",
        )
    )


def _gain(evidence: Evidence | None) -> Line:
    if evidence is None:
        return line("untested", "dim")
    return line(gain_text(evidence.delta), "good" if evidence.delta > 0 else "warn")


def _bar(evidence: Evidence | None, columns: int) -> Line:
    if evidence is None or not columns:
        return ()
    return interval_bar(evidence.delta, evidence.low, evidence.high, columns, scale=0.5)


def edit_test_text(session: RunSession, rule: Rule, decision: Decision) -> str:
    """Return what the test of an edit said, or nothing where it wasn't tested."""
    test = edit_test(session, rule, decision)
    if test is None or test.finished is None:
        return ""
    finished = test.finished
    counts = "doesn't count" if finished.verdict == "rejected" else "counts"
    if finished.evidence is None:
        return f"{counts}: {finished.reason}"
    gain = gain_text(finished.evidence.delta, finished.evidence.low, finished.evidence.high)
    return f"{counts}: {gain} on {count_text(finished.evidence.n, 'example')}, {finished.reason}"


def edit_test(session: RunSession, rule: Rule, decision: Decision) -> TestRow | None:
    """Return the latest test of the rule that an edit or a merge made of `rule`."""
    if not decision.text:
        return None
    edited = decided_rule(rule, decision).id
    tests = reversed(session.live.tests.values())
    return next((test for test in tests if test.rule.id == edited and test.finished), None)


def settled_of(session: RunSession, rule: Rule, number: int, decision: Decision) -> Settled:
    """Return what the review with that number decided on a rule, and what became of an edit of it."""
    if not decision.text:
        return Settled(number, decision)
    test = edit_test(session, rule, decision)
    has_failed = test is not None and test.finished is not None and test.finished.verdict == "rejected"
    return Settled(number, decision, decided_rule(rule, decision).id, has_failed)


def decided_rule(rule: Rule, decision: Decision | None) -> Rule:
    """Return a rule as a decision changes it."""
    if decision is None or not decision.text:
        return rule
    return rule.model_copy(update={"text": decision.text, "trigger": decision.trigger})


def applied_text(
    session: RunSession,
    review: ReviewApplied,
    tests: Mapping[str, TestRow],
    decisions: Mapping[str, Decision],
) -> str:
    """Return the outcome of a review of a finished run with these `decisions`."""
    scores = [("validation", review.validation), ("test", review.test)]
    scored = (f"{name} {value_text(score.score)}" for name, score in scores if score)
    parts = [count_text(len(review.rules), "rule"), *scored]
    text = f"Review {review.number} is applied: {', '.join(parts)}."
    edited = [edit_test(session, tests[rule].rule, decision) for rule, decision in decisions.items()]
    failed = {
        test.rule.id for test in edited if test and test.finished and test.finished.verdict == "rejected"
    }
    if failed:
        text += f" {count_text(len(failed), 'edit')} failed the test: not counted."
    return text


def _noun(state: ReviewState) -> str:
    """Return what the undecided ones are."""
    shown = {item.demonstration is not None for item in state.items if state.is_undecided(item.id)}
    return "demonstration" if shown == {True} else "rule" if shown == {False} else "item"


def apply_text(state: ReviewState, *, is_over: bool) -> str:
    """Return what it means to apply the decisions; `is_over` says whether the run is."""
    counts = state.counts()
    parts = [f"{counts[choice]} {word(choice)}" for choice in CHOICES if choice and counts[choice]]
    text = f"{', '.join(parts)}."
    if counts[None]:
        left = "they stay as the run left them" if is_over else "the run waits where it needs them"
        text += f"\n{count_text(counts[None], _noun(state))} undecided: {left}."
    if counts["edit"] or counts["merge"]:
        text += "\nEdits are tested first. If an edit fails, neither it nor the old rule is kept."
    if is_over:
        scored = "The result is scored again and saved as another version."
        return f"{text}\n{scored} You can change it in a later review."
    return f"{text}\nApplied decisions are final."

"""What stands against an action of a review, in a sentence for the person who pressed its key."""

from __future__ import annotations

from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.lines import can_be_applied, edit_test, is_left
from promptgrad_tui.screens.review.state import ReviewState
from promptgrad_tui.views.run.rows import TestRow

ANSWERED = ("keep", "drop", "edit", "edit_outside", "note", "merge", "try_edit", "apply")
"""The actions whose keys answer with what stands against them."""


def obstacle(action: str, session: RunSession, state: ReviewState, row: TestRow | None) -> str:
    """Return why an action of `ANSWERED` can't be done now, or nothing if it can.

    `row` is the test of the current rule, None where there is no rule.
    """
    if action == "apply":
        return _against_applying(session, state)
    if row is None or state.current is None:
        return "There is no rule here."
    is_demonstration = state.current.demonstration is not None
    match action:
        case "merge" if not state.merge_parts():
            return _decided(session, state, state.current_id) or _against_merging(state)
        case "keep" | "drop" if not state.chosen:
            return _decided(session, state, next(iter(state.marked or {state.current_id})))
        case "edit" | "edit_outside" | "try_edit" if is_demonstration:
            return "A demonstration can't be edited: keep it or drop it."
        case "try_edit":
            return _against_testing(session, state, row)
        case "edit" | "edit_outside" | "note":
            return _decided(session, state, state.current_id)
        case _:
            return ""


def _against_applying(session: RunSession, state: ReviewState) -> str:
    if session.is_applying:
        return "A review is being applied."
    if session.is_testing:
        return "An edit is being tested: apply when its test has ended."
    if not can_be_applied(session):
        return "The run is in progress: your decisions are kept, and can be applied when it has ended."
    if not state.is_changed and not is_left(session, state):
        return "There is nothing to apply: decide on a rule first."
    return ""


def _against_testing(session: RunSession, state: ReviewState, row: TestRow) -> str:
    decision = state.decision(state.current_id)
    if decision is None or not decision.text:
        return "There is no edit to test: press e to edit the rule first."
    if not session.live.is_done:
        return "The run has not ended: A tests the edit when you apply it."
    if session.is_running or session.is_starting:
        return "The model is busy with this run: test the edit when that is done."
    if edit_test(session, row.rule, decision) is not None:
        return "This edit was tested: its result is in the evidence."
    return ""


def _against_merging(state: ReviewState) -> str:
    if state.current is not None and state.current.demonstration is not None:
        return "Demonstrations can't be merged."
    if len(state.marked) > 1:
        return "Only rules of the same step of the program can be merged."
    return "There is no other rule to merge it with."


def _decided(session: RunSession, state: ReviewState, rule: str) -> str:
    """Return why a decision that the journal holds can't be changed now."""
    if rule not in state.applied:
        return ""
    if session.live.finished is None:
        return "You have decided on this one, and the run has used it: review it again after the run."
    if session.is_applying:
        return "Your decision is being applied: change it when that is done."
    return "Your decision is saved, but was not applied: press A first, then change it."

"""Review: what the engine makes of a person's decisions on rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.ground.errors import JournalError
from engine.journal.decisions import Decision, decision_key
from engine.journal.event_parts import RunSummary
from engine.journal.events import (
    Emit,
    Event,
    Notice,
    ReviewApplied,
    ReviewAwaited,
    RulesChanged,
    RunFinished,
    ValidationFinished,
)
from engine.journal.journal import Journal
from engine.journal.learning_events import LayerTested
from engine.learning.place import Place
from engine.learning.rule_tests import Change, RuleTester, Tested
from engine.learning.state_events import state_changed
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState

_POLL_SECONDS = 0.1


class Decisions:
    """A person's decisions as they come in.

    `look_up` returns the decision of a key, or None while there is none; `checkpoint` is called while
    waiting and may raise to end the run.
    """

    def __init__(
        self, look_up: Callable[[str], dict[str, Any] | None], checkpoint: Callable[[], None]
    ) -> None:
        self._look_up = look_up
        self._checkpoint = checkpoint

    def wait_for(self, rule_id: str) -> Decision:
        """Return the decision on a rule, as soon as there is one."""
        while (found := self._look_up(decision_key(rule_id))) is None:
            self._checkpoint()
            time.sleep(_POLL_SECONDS)
        return Decision.model_validate(found)


class Reviewer:
    """Puts the rules of a batch to a person, and applies what is decided."""

    def __init__(self, decisions: Decisions, tester: RuleTester, emit: Emit) -> None:
        self._decisions = decisions
        self._tester = tester
        self._emit = emit
        self._dropped: set[str] = set()

    def has_dropped(self, rule: Rule) -> bool:
        """Return whether a person let a rule go in an earlier batch, and needn't be asked again."""
        return rule.id in self._dropped

    def settle(self, before: LearnedState, tested: Sequence[Tested]) -> LearnedState:
        """Return `before` with the tested changes that a person keeps, as tested or as edited.

        Only changes that passed their test, or nearly did, are put to a person.
        """
        latest = {result.rule.id: result for result in tested}
        open_changes = {key: result for key, result in latest.items() if result.verdict != "rejected"}
        if not open_changes:
            return before
        place = next(iter(open_changes.values())).change.place
        # A batch may ask several times, about other rules each time.
        asked = RuleSet(result.rule for result in open_changes.values()).digest
        self._emit(
            ReviewAwaited(
                id=f"{place}/review/{asked}", epoch=place.epoch, batch=place.batch, rules=tuple(open_changes)
            )
        )
        state = before
        known = {key: result.rule for key, result in open_changes.items()}
        for rule_id, result in open_changes.items():
            state = self._applied(result, self._decisions.wait_for(rule_id), state, known)
        self._emit(state_changed(state, f"{place}/reviewed/{asked}", place, "reviewed"))
        return state

    def settle_demonstrations(
        self, before: DemonstrationSet, state: LearnedState, place: Place
    ) -> LearnedState:
        """Return `state` with those of its demonstrations that a person keeps; the ones of `before` stay."""
        known = {shown.id for shown in before}
        new = [shown.id for shown in state.demonstrations if shown.id not in known]
        asked = tuple(part for part in new if part not in self._dropped)
        if not new:
            return state
        if asked:
            self._emit(
                ReviewAwaited(
                    id=f"{place}/review/demonstrations",
                    epoch=place.epoch,
                    batch=place.batch,
                    rules=asked,
                    are_demonstrations=True,
                )
            )
        decided = {part: self._decisions.wait_for(part) for part in asked}
        self._dropped |= {part for part, decision in decided.items() if decision.choice == "drop"}
        shown = DemonstrationSet(
            one.model_copy(update={"note": (decided[one.id].note if one.id in decided else "") or one.note})
            for one in state.demonstrations
            if one.id not in self._dropped
        )
        state = state.with_demonstrations(shown)
        self._emit(state_changed(state, f"{place}/reviewed/demonstrations", place, "reviewed"))
        return state

    def _applied(
        self, result: Tested, decision: Decision, state: LearnedState, known: Mapping[str, Rule]
    ) -> LearnedState:
        if decision.choice == "drop":
            if result.change.action == "add":
                self._dropped.add(result.rule.id)
            return state
        if result.change.action == "remove":
            return state.removing(result.rule)
        rule = decision.of(result.rule, known)
        if decision.choice == "edit":
            return add_edited(rule, state, result.change.place, self._tester, self._emit)
        return state.adding(rule)


def add_edited(rule: Rule, state: LearnedState, place: Place, tester: RuleTester, emit: Emit) -> LearnedState:
    """Return `state` with a person's own rule, if its test doesn't reject it."""
    if rule in state.rules:
        return state
    tested = tester.test(Change("add", rule, state, state.adding(rule), place, is_persons=True))
    if tested.verdict != "rejected":
        return state.adding(tested.rule)
    text = f"The edited rule doesn't count: {tested.reason}."
    emit(Notice(id=f"{tested.change.test_id}/edit", level="warning", text=text))
    return state


def reviewed_state(journal: Journal, run: str, tester: RuleTester, emit: Emit) -> tuple[LearnedState, int]:
    """Return the learned state of a finished run as the latest review of it decided, and the review's number.

    Raises:
        JournalError: nothing was decided since the last review was applied.
    """
    events = _reviewed_events(journal, run)
    number = _number(events)
    known, shown = _known_rules(events), _known_demonstrations(events)
    decided = {
        part: Decision.model_validate(found)
        for part in (*known, *shown)
        if (found := journal.decision(run, decision_key(part, number))) is not None
    }
    decisions = {rule: decision for rule, decision in decided.items() if rule in known}
    if not decided:
        raise JournalError(
            f"Nothing was decided on the rules of {run}.", hint="Review its rules first: promptgrad, then v."
        )
    left = _left(events)
    choices = {rule.id: "keep" for rule in left.rules} | {key: d.choice for key, d in decisions.items()}
    rules = RuleSet(
        decisions[key].of(known[key], known) if key in decisions else known[key]
        for key, choice in choices.items()
        if choice == "keep"
    )
    state = LearnedState(rules, _reviewed_demonstrations(left.demonstrations, shown, decided))
    for key, decision in decisions.items():
        if decision.choice == "edit":
            edited = decision.of(known[key], known)
            state = add_edited(edited, state, Place(known[key].epoch, number), tester, emit)
    return state, number


def edit_change(journal: Journal, run: str, rule_id: str, decision: Decision) -> Change:
    """Return what an edit changes in the result of a finished run as it stands, for a test of it alone.

    Raises:
        JournalError: the run has no such rule.
    """
    events = _reviewed_events(journal, run)
    known, left = _known_rules(events), _left(events)
    if rule_id not in known:
        raise JournalError(f"{run} has no rule {rule_id}.", hint="List its rules: promptgrad show last")
    parts = {rule_id, *decision.merged}
    rules = RuleSet(known[rule.id] for rule in left.rules if rule.id not in parts)
    before = LearnedState(rules, DemonstrationSet(left.demonstrations))
    edited = decision.of(known[rule_id], known)
    place = Place(known[rule_id].epoch, _number(events))
    return Change("add", edited, before, before.adding(edited), place, is_persons=True)


def _reviewed_events(journal: Journal, run: str) -> list[Event]:
    kinds = ["review_applied", "rules", "run_finished", "validation", "layer_test"]
    return [event for _, event in journal.events(run, kinds=kinds)]


def _number(events: Sequence[Event]) -> int:
    return 1 + sum(isinstance(event, ReviewApplied) for event in events)


def _left(events: Sequence[Event]) -> ReviewApplied | RunSummary:
    """Return what the run, or its last review, has left."""
    return [
        event if isinstance(event, ReviewApplied) else event.summary
        for event in events
        if isinstance(event, ReviewApplied | RunFinished)
    ][-1]


def _reviewed_demonstrations(
    left: Sequence[Demonstration], known: Mapping[str, Demonstration], decided: Mapping[str, Decision]
) -> DemonstrationSet:
    """Return the demonstrations that were left, without those dropped, and with those a person keeps."""
    kept = {one.id: one for one in left} | {part: known[part] for part in decided if part in known}
    return DemonstrationSet(
        one.model_copy(update={"note": (decided[part].note if part in decided else "") or one.note})
        for part, one in kept.items()
        if part not in decided or decided[part].choice != "drop"
    )


def _known_demonstrations(events: Sequence[Event]) -> dict[str, Demonstration]:
    """Every demonstration that a run showed or tested, by its id; as its state had it, where it did."""
    tests = [e.demonstrations for e in events if isinstance(e, LayerTested) and e.action == "add"]
    sets = [e.demonstrations for e in events if isinstance(e, RulesChanged | ReviewApplied)]
    ends = [e.summary.demonstrations for e in events if isinstance(e, RunFinished)]
    return {one.id: one for some in (*tests, *sets, *ends) for one in some}


def _known_rules(events: Sequence[Event]) -> dict[str, Rule]:
    """Every rule that a run had or tested, with the evidence of the test it passed, or of its last one.

    With the evidence, each has the latest note that a person wrote on it.
    """
    sets = [e.rules for e in events if isinstance(e, RulesChanged | ReviewApplied)]
    had = {rule.id: rule for rules in sets for rule in rules}
    notes = {rule.id: rule.note for rules in sets for rule in rules if rule.note}
    tests = [e for e in events if isinstance(e, ValidationFinished) and e.action != "remove"]
    ordered = sorted(tests, key=lambda event: event.verdict == "accepted")
    tested = {e.rule.id: e.rule.model_copy(update={"evidence": e.evidence}) for e in ordered}
    in_sets = {
        rule.id: rule.model_copy(update={"evidence": e.evidence})
        for e in events
        if isinstance(e, LayerTested) and e.action == "add"
        for rule in e.rules
    }
    return {
        key: rule.model_copy(update={"note": notes.get(key, rule.note)})
        for key, rule in (in_sets | had | tested).items()
    }

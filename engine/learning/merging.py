"""Merging: similar rules said in one, when there are more than a prompt should hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dspy
from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import ContextOverflowError
from engine.journal.events import Emit, Notice
from engine.journal.replay import cause_of
from engine.learning.analysis.consensus import distinguishing_words, means_same
from engine.learning.analysis.prompts import merge_inputs
from engine.learning.analysis.signatures import MergeRules
from engine.learning.place import Place
from engine.learning.rule_tests import Change, RuleTester
from engine.learning.state_events import state_changed
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.programs.triggers import FIRES_AT, trigger_overlap

_SAME_EFFECT = 0.75
_FEWEST_MOVED = 2
_LARGEST_GROUP = 4


class RuleMerger:
    """Asks a model to say similar rules in one, and keeps that one if it does no worse."""

    def __init__(
        self,
        lm: dspy.LM,
        tester: RuleTester | None,
        *,
        adapter: dspy.Adapter | None = None,
        emit: Emit,
    ) -> None:
        self._lm = lm
        self._tester = tester
        self._adapter = adapter or dspy.JSONAdapter()
        self._emit = emit
        self._predict = dspy.Predict(MergeRules)

    def merge(self, state: LearnedState, place: Place) -> LearnedState:
        """Return `state` with each group of similar ones replaced by the rule that says the same."""
        for group in similar_groups(state.rules):
            merged = self._ask(group, place)
            if merged is None:
                continue
            after = state.with_rules(state.rules.replacing(group, merged))
            if self._tester is not None:
                tested = self._tester.test(Change("merge", merged, state, after, place))
                if tested.verdict != "accepted":
                    continue
                after = state.with_rules(state.rules.replacing(group, tested.rule))
            event = f"{place}/merged/{after.digest}"
            self._emit(state_changed(after, event, place, "merged"))
            state = after
        return state

    def _ask(self, group: Sequence[Rule], place: Place) -> Rule | None:
        lm = self._lm.copy(temperature=0.0)
        try:
            with dspy.context(lm=lm, adapter=self._adapter, trace=None):
                answer = self._predict(**merge_inputs(group))
        except AdapterParseError:
            self._tell_unmerged(group, place, "the model's merged rule could not be read.")
            return None
        except Exception as error:
            cause = cause_of(error) or error
            if not isinstance(cause, ContextOverflowError):
                raise cause from error
            self._tell_unmerged(group, place, cause.message)
            return None
        text = " ".join(answer.text.split())
        if not text:
            return None
        return Rule(
            text=text,
            trigger=" ".join(answer.trigger.split()),
            predictor=group[0].predictor,
            rationale=f"says in one rule what {len(group)} said",
            confidence=min(rule.confidence for rule in group),
            support=max(rule.support for rule in group),
            epoch=place.epoch,
            batch=place.batch,
            suggested_by=tuple(dict.fromkeys(key for rule in group for key in rule.suggested_by)),
            merged_from=tuple(rule.id for rule in group),
        )

    def _tell_unmerged(self, group: Sequence[Rule], place: Place, why: str) -> None:
        self._emit(
            Notice(
                id=f"{place}/unmerged/{RuleSet(group).digest}",
                level="warning",
                text=f"{len(group)} similar rules stay apart: {why}",
            )
        )


def similar_groups(rules: Iterable[Rule]) -> list[list[Rule]]:
    """Return groups of two to four rules of one predictor that mean the same or have the same effect.

    The effect is what each rule's test measured: which examples it moved, and which way. Words alone don't
    count: two rules that differ only in the topic or in the answer are two rules.
    """
    groups: list[list[Rule]] = []
    for rule in rules:
        home = next((group for group in groups if _belongs(rule, group)), None)
        if home is None:
            groups.append([rule])
        else:
            home.append(rule)
    return [group for group in groups if len(group) > 1]


def _belongs(rule: Rule, group: Sequence[Rule]) -> bool:
    return (
        len(group) < _LARGEST_GROUP
        and rule.predictor == group[0].predictor
        and all(_says_same(rule, other) or _does_same(rule, other) for other in group)
    )


def _says_same(one: Rule, other: Rule) -> bool:
    """Whether two rules mean the same, or speak of the same inputs and share a word of their answer.

    Looser than what a consensus asks for: a model puts the two into one, and a test decides.
    """
    if means_same(one.proposed(), other.proposed()):
        return True
    if not (one.trigger and other.trigger):
        return False
    ours, theirs = (distinguishing_words(rule.trigger) for rule in (one, other))
    answers = [distinguishing_words(rule.text) - ours - theirs for rule in (one, other)]
    overlaps = (trigger_overlap(one.trigger, other.trigger), trigger_overlap(other.trigger, one.trigger))
    return min(overlaps) >= FIRES_AT and bool(answers[0] & answers[1])


def _does_same(one: Rule, other: Rule) -> bool:
    """Whether most of the examples that either rule moved were moved by both, in the same direction."""
    first, second = _moved(one), _moved(other)
    if min(len(first), len(second)) < _FEWEST_MOVED:
        return False
    return len(first & second) >= _SAME_EFFECT * len(first | second)


def _moved(rule: Rule) -> frozenset[tuple[str, bool]]:
    deltas = rule.evidence.deltas if rule.evidence else {}
    return frozenset((key, delta > 0) for key, delta in deltas.items() if delta)

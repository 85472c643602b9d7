"""Merging: similar rules said in one, when there are more than a prompt should hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dspy
from dspy.utils.exceptions import AdapterParseError
from rapidfuzz import fuzz

from engine.ground.errors import ContextOverflowError
from engine.journal.events import Emit, Notice, RulesChanged
from engine.journal.replay import cause_of
from engine.learning.analysis.prompts import merge_inputs
from engine.learning.analysis.signatures import MergeRules
from engine.learning.rule_tests import Change, RuleTester
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState

_SIMILAR = 70.0
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

    def merge(self, state: LearnedState, epoch: int, batch: int) -> LearnedState:
        """Return `state` with each group of similar ones replaced by the rule that says the same."""
        for group in similar_groups(state.rules):
            merged = self._ask(group, epoch, batch)
            if merged is None:
                continue
            after = state.with_rules(state.rules.replacing(group, merged))
            if self._tester is not None:
                tested = self._tester.test(Change("merge", merged, state, after, epoch, batch))
                if tested.verdict != "accepted":
                    continue
                after = state.with_rules(state.rules.replacing(group, tested.rule))
            self._emit(
                RulesChanged(
                    id=f"epoch{epoch}/batch{batch}/merged/{after.digest}",
                    epoch=epoch,
                    batch=batch,
                    reason="merged",
                    digest=after.digest,
                    rules=after.rules.rules,
                    demonstrations=after.demonstrations.demonstrations,
                )
            )
            state = after
        return state

    def _ask(self, group: Sequence[Rule], epoch: int, batch: int) -> Rule | None:
        lm = self._lm.copy(temperature=0.0)
        try:
            with dspy.context(lm=lm, adapter=self._adapter, trace=None):
                answer = self._predict(**merge_inputs(group))
        except AdapterParseError:
            self._tell_unmerged(group, epoch, batch, "the model's merged rule could not be read.")
            return None
        except Exception as error:
            cause = cause_of(error) or error
            if not isinstance(cause, ContextOverflowError):
                raise cause from error
            self._tell_unmerged(group, epoch, batch, cause.message)
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
            epoch=epoch,
            batch=batch,
            suggested_by=tuple(dict.fromkeys(key for rule in group for key in rule.suggested_by)),
            merged_from=tuple(rule.id for rule in group),
        )

    def _tell_unmerged(self, group: Sequence[Rule], epoch: int, batch: int, why: str) -> None:
        self._emit(
            Notice(
                id=f"epoch{epoch}/batch{batch}/unmerged/{RuleSet(group).digest}",
                level="warning",
                text=f"{len(group)} similar rules stay apart: {why}",
            )
        )


def similar_groups(rules: Iterable[Rule]) -> list[list[Rule]]:
    """Return groups of two to four rules of one predictor that share most of their words."""
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
        and all(fuzz.token_sort_ratio(rule.text, other.text) >= _SIMILAR for other in group)
    )

"""From several sets of competing rules to one: the best rule for each answer, by likelihood on train.

A rule for one answer pulls a small model towards that answer everywhere, so competing rules are judged
together: first whole sets, then a set mixed from the best rule for each answer, then that set without the
rules that don't help. Nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Any

from engine.ground.examples import Item
from engine.learning.proposals.source import RuleProposal
from engine.learning.screening.likelihood import AnswerLikelihood
from engine.learning.screening.likelihood_signal import LikelihoodSignal
from engine.learning.screening.race import ScreeningResult, screening_result
from engine.programs.rules import Rule
from engine.programs.state import LearnedState

_LEAST_SHARE = 0.01
_MOST_DROPPED = 2


@dataclass(frozen=True)
class ScreenedSet:
    """A set of rules with its source and its result."""

    source: str
    title: str
    rules: tuple[Rule, ...]
    result: ScreeningResult


class SetSearch:
    """Finds the likeliest set among those that sources propose, mixed answer by answer."""

    def __init__(self, signal: LikelihoodSignal) -> None:
        self._signal = signal
        self._likelihood = signal.likelihood

    def find(
        self, proposals: Sequence[RuleProposal], reference: LearnedState, items: Sequence[Item]
    ) -> list[ScreenedSet]:
        """Return the sets that were tried, the best first: the proposed ones, a mixed one, a thinned one."""
        tried = [
            self._try(proposal.title, proposal.source, proposal.rules, reference, items)
            for proposal in proposals
        ]
        mixed = self._mixed(proposals, reference, items)
        if mixed and all(mixed != proposal.rules for proposal in proposals):
            tried.append(self._try("the best rule for each answer", "mixed", mixed, reference, items))
        tried.sort(key=lambda found: -found.result.gain)
        if tried:
            best = tried[0]
            thinned = self._thinned(best.rules, proposals, reference, items)
            if thinned and thinned != best.rules:
                title = f"{best.title}, without {len(best.rules) - len(thinned)}"
                tried.append(self._try(title, best.source, thinned, reference, items))
        return sorted(tried, key=lambda found: (-found.result.gain, len(found.rules)))

    def _try(
        self,
        title: str,
        source: str,
        rules: tuple[Rule, ...],
        reference: LearnedState,
        items: Sequence[Item],
    ) -> ScreenedSet:
        return ScreenedSet(
            source, title, rules, screening_result(reference.adding(*rules), reference, items, self._signal)
        )

    def _mixed(
        self, proposals: Sequence[RuleProposal], reference: LearnedState, items: Sequence[Item]
    ) -> tuple[Rule, ...]:
        """Return the rule for each answer that separates it best from the others."""
        judged = [
            (proposal.alternatives(), self._likelihood.of(reference.adding(*proposal.rules), items))
            for proposal in proposals
        ]
        answers = list(dict.fromkeys(answer for rules, _ in judged for answer in rules))
        chosen = []
        for answer in answers:
            _, rule = max(
                (
                    (one_versus_rest(answer, found), rules[answer])
                    for rules, found in judged
                    if answer in rules
                ),
                key=lambda pair: pair[0],
            )
            chosen.append(rule)
        return tuple(chosen)

    def _thinned(
        self,
        rules: tuple[Rule, ...],
        proposals: Sequence[RuleProposal],
        reference: LearnedState,
        items: Sequence[Item],
    ) -> tuple[Rule, ...]:
        """Return the set without rules that don't help their answers; at most two are dropped."""
        argued = argued_answers(proposals)
        without = self._likelihood.of(reference, items)
        with_all = self._likelihood.of(reference.adding(*rules), items)
        gains = {
            rule.id: one_versus_rest(argued[rule.id], with_all) - one_versus_rest(argued[rule.id], without)
            for rule in rules
            if rule.id in argued
        }
        useless = sorted((key for key, gain in gains.items() if gain <= 0), key=gains.__getitem__)
        return tuple(rule for rule in rules if rule.id not in useless[:_MOST_DROPPED])


def argued_answers(proposals: Sequence[RuleProposal]) -> Mapping[str, Any]:
    """Return the answer that each proposed rule argues for, by the rule's id."""
    return {rule.id: answer for proposal in proposals for answer, rule in proposal.alternatives().items()}


def one_versus_rest(answer: Any, found: Sequence[AnswerLikelihood]) -> float:
    """Return how well an answer is separated from others: the mean log-likelihood of "this one or not"."""
    total = []
    for example in found:
        share = min(max(exp(example.log_p.get(answer, -100.0)), _LEAST_SHARE), 1 - _LEAST_SHARE)
        total.append(log(share if example.right == answer else 1 - share))
    return fsum(total) / max(len(total), 1)

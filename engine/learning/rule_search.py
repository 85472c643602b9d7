"""The search for rules: every source proposes, proposals are screened, and the best go to a paired test.

Sets of competing rules are ranked as sets, single rules one by one on top of the winning set. Screening
uses only training examples, so that a test on validation keeps its level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.journal.events import Emit
from engine.journal.learning_events import Candidate, CandidatesProposed, Screened, ScreeningFinished
from engine.learning.answers import AnswerSpace
from engine.learning.demonstrations.draws import balanced_draw
from engine.learning.layer_tests import LayerChange, LayerResult, LayerTester
from engine.learning.place import Place
from engine.learning.proposals.source import Confusion, Findings, ProposalSource, RuleProposal
from engine.learning.screening.likelihood_signal import LikelihoodSignal
from engine.learning.screening.race import ScreeningResult, race, screening_result
from engine.learning.screening.set_search import ScreenedSet, SetSearch
from engine.learning.screening.signal import Signal
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState

_SCREENED_ON = (18, 24)
"""Training examples that rules are ranked on: two of each answer, but within these bounds."""
_SETS_SCREENED_ON = 48
"""The same for sets without demonstrations: more depends on them, and no time goes into demonstrations."""
_SHOWN_WHILE_SCREENING = 12
"""Demonstrations in the prompt while rules are ranked: more would cost time and leave fewer examples."""
_MOST_SINGLES = 6
_FIRST_RUNG = 9
_MOST_KEPT = 3

IsSound = Callable[[Rule], bool]
"""Whether a proposed rule may be tested at all."""


class RuleSearch:
    """Finds rules to add to a state, as one set for the test, and reports what happened to the others."""

    def __init__(
        self,
        sources: Sequence[ProposalSource],
        signal: Signal,
        tester: LayerTester,
        is_sound: IsSound,
        *,
        most: int,
        seed: int,
        emit: Emit,
    ) -> None:
        self._sources = sources
        self._signal = signal
        self._tester = tester
        self._is_sound = is_sound
        self._most = most
        self._seed = seed
        self._emit = emit

    def propose(self, findings: Findings) -> list[LayerResult]:
        """Return the test of the best candidates, and of the second likeliest set if they gain too little."""
        proposals = self._proposals(findings)
        if not proposals:
            return []
        items, more = self._items(findings), self._items(findings, for_sets=True)
        short = _shortened(findings.state)
        sets = [proposal for proposal in proposals if proposal.is_set]
        singles = [proposal for proposal in proposals if not proposal.is_set][:_MOST_SINGLES]
        chosen: list[RuleProposal] = []
        ranked = self._ranked_sets(sets, short, more)
        if ranked and ranked[0].result.gain > 0:
            chosen = [RuleProposal(ranked[0].source, ranked[0].rules)]
        kept, rows = self._ranked_singles(singles, _applied(short, chosen), items)
        chosen += kept
        self._report(findings, [*_set_rows(ranked), *rows])
        if not chosen:
            return []
        return self._tested(findings, chosen, ranked)

    def confusions(self, findings: Findings) -> list[Confusion]:
        """Return which answers a state confuses, by likelihood; empty without likelihoods."""
        space = findings.space
        if space is None or not space.is_closed or not isinstance(self._signal, LikelihoodSignal):
            return []
        items = self._items(findings)
        pairs: dict[tuple[Any, Any], list[Item]] = {}
        for item, found in zip(
            items, self._signal.likelihood.of(_shortened(findings.state), items), strict=True
        ):
            if found.favourite != found.right:
                pairs.setdefault((found.right, found.favourite), []).append(item)
        return [
            Confusion(right, favoured, tuple(examples))
            for (right, favoured), examples in sorted(pairs.items(), key=lambda pair: -len(pair[1]))
        ]

    def _proposals(self, findings: Findings) -> list[RuleProposal]:
        """Return the sources' proposals, without rules that aren't valid or are already held."""
        found: list[RuleProposal] = []
        for source in self._sources:
            cost = source.cost(findings)
            sound = [
                replace(kept, number=number)
                for number, proposal in enumerate(source.propose(findings), 1)
                if (kept := self._sound(proposal, findings.state)).rules
            ]
            found += sound
            self._emit(
                CandidatesProposed(
                    id=f"{findings.place}/candidates/{source.name}",
                    epoch=findings.place.epoch,
                    batch=findings.place.batch,
                    source=source.name,
                    questions=cost.questions,
                    candidates=tuple(
                        Candidate(
                            id=RuleSet(proposal.rules).digest,
                            source=source.name,
                            title=proposal.title,
                            rules=proposal.rules,
                        )
                        for proposal in sound
                    ),
                )
            )
        return list({RuleSet(proposal.rules).digest: proposal for proposal in found}.values())

    def _sound(self, proposal: RuleProposal, state: LearnedState) -> RuleProposal:
        stands_for = proposal.stands_for or (None,) * len(proposal.rules)
        kept = [
            (rule, answer)
            for rule, answer in zip(proposal.rules, stands_for, strict=True)
            if rule not in state.rules and self._is_sound(rule)
        ]
        rules, answers = tuple(rule for rule, _ in kept), tuple(answer for _, answer in kept)
        return replace(proposal, rules=rules, stands_for=answers)

    def _items(self, findings: Findings, *, for_sets: bool = False) -> list[Item]:
        """Return the training examples for screening, balanced over the answers."""
        order = self._order(findings.train, findings.space, findings.place)
        shown = _shortened(findings.state).demonstrations.examples
        fair = [item for item in order if item.key not in shown and self._signal.covers(item)]
        answers = len(findings.space.values) if findings.space else 0
        if for_sets and not shown and isinstance(self._signal, LikelihoodSignal):
            return fair[:_SETS_SCREENED_ON]
        fewest, most = _SCREENED_ON
        return fair[: min(max(fewest, 2 * answers), most)]

    def _order(self, train: Sequence[Item], space: AnswerSpace | None, place: Place) -> list[Item]:
        rng = generator(self._seed, "screening", place.epoch, place.batch)
        if space is None:
            order = list(train)
            rng.shuffle(order)
            return order
        return balanced_draw(train, space, len(train), rng)

    def _ranked_sets(
        self, sets: Sequence[RuleProposal], reference: LearnedState, items: Sequence[Item]
    ) -> list[ScreenedSet]:
        if not sets:
            return []
        if isinstance(self._signal, LikelihoodSignal):
            return SetSearch(self._signal).find(sets, reference, items)
        results = race([reference.adding(*one.rules) for one in sets], reference, items, self._signal)
        ranked = [
            ScreenedSet(one.source, one.title, one.rules, found)
            for one, found in zip(sets, results, strict=True)
        ]
        return sorted(ranked, key=lambda one: (-one.result.is_finalist, -one.result.gain))

    def _ranked_singles(
        self, singles: Sequence[RuleProposal], reference: LearnedState, items: Sequence[Item]
    ) -> tuple[list[RuleProposal], list[Screened]]:
        """Return the rules that gain something, each on top of those before it, and what became of all.

        A rule is kept if its gain is larger than its standard error.
        """
        candidates = [one.applied_to(reference) for one in singles]
        results = race(candidates, reference, items, self._signal, first=_FIRST_RUNG)
        state, kept, rows = reference, list[RuleProposal](), list[Screened]()
        for proposal, alone in sorted(zip(singles, results, strict=True), key=lambda pair: -pair[1].gain):
            found = alone
            if not alone.is_promising:
                reason = "it gains nothing" if alone.is_finalist else "others did better"
            elif len(kept) == _MOST_KEPT:
                reason = "enough others were kept"
            else:
                after = proposal.applied_to(state)
                found = screening_result(after, state, items, self._signal) if kept else alone
                reason = "its gain is within one standard error"
                if found.gain > max(found.error, 0.0):
                    state, reason = after, "it gains beside the others"
                    kept.append(proposal)
            rows.append(_row(proposal, found, is_tested=proposal in kept, reason=reason))
        return kept, rows

    def _tested(
        self, findings: Findings, chosen: Sequence[RuleProposal], ranked: Sequence[ScreenedSet]
    ) -> list[LayerResult]:
        """Test the chosen set; if it gains too little, test the second likeliest.

        If it does harm, a set that screening likes less would hardly help.
        """
        if _applied(findings.state, chosen) == findings.state:
            return []
        results = [self._test(findings, chosen, "the rules that screening chose")]
        others = [RuleProposal(one.source, one.rules) for one in ranked[1:] if one.result.gain > 0]
        if not results[0].is_accepted and results[0].evidence.delta >= 0 and others:
            results.append(self._test(findings, others[:1], "the second likeliest set"))
        return results

    def _test(self, findings: Findings, chosen: Sequence[RuleProposal], title: str) -> LayerResult:
        after = _applied(findings.state, chosen)
        after = after.with_rules(RuleSet(after.rules.rules[: self._most]))
        names = list(dict.fromkeys(rule.source for one in chosen for rule in one.rules))
        return self._tester.test(
            LayerChange(
                "rules",
                "add",
                " and ".join(names),
                title,
                findings.state,
                after,
                findings.place,
            )
        )

    def _report(self, findings: Findings, rows: Sequence[Screened]) -> None:
        self._emit(
            ScreeningFinished(
                id=f"{findings.place}/screening/rules",
                epoch=findings.place.epoch,
                batch=findings.place.batch,
                layer="rules",
                signal=self._signal.name,
                rows=tuple(rows),
                asked=self._signal.asked,
            )
        )


def _shortened(state: LearnedState) -> LearnedState:
    """Return a state with only its first demonstrations."""
    first = state.demonstrations.demonstrations[:_SHOWN_WHILE_SCREENING]
    return state.with_demonstrations(DemonstrationSet(first))


def _applied(state: LearnedState, proposals: Sequence[RuleProposal]) -> LearnedState:
    for proposal in proposals:
        state = proposal.applied_to(state)
    return state


def _set_rows(ranked: Sequence[ScreenedSet]) -> list[Screened]:
    return [
        _row(
            one,
            one.result,
            is_tested=place == 0 and one.result.gain > 0,
            reason=(
                "it gains nothing"
                if one.result.gain <= 0
                else "the likeliest set"
                if place == 0
                else "another set did better"
            ),
        )
        for place, one in enumerate(ranked)
    ]


def _row(
    candidate: RuleProposal | ScreenedSet, found: ScreeningResult, *, is_tested: bool, reason: str
) -> Screened:
    return Screened(
        candidate=RuleSet(candidate.rules).digest,
        title=candidate.title,
        source=candidate.source,
        gain=found.gain,
        error=found.error,
        n=found.n,
        is_tested=is_tested,
        reason=reason,
    )

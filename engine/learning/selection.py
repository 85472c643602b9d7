"""From proposals to the rules that are kept: one test for each change, in one of two orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.ground.errors import ProjectError
from engine.journal.events import Emit, RulesChanged
from engine.learning.rule_tests import Change, RuleTester, Tested
from engine.programs.rules import ParsedRule, Rule, RuleSet
from engine.programs.user_calls import calling
from engine.project.config import PromptGradConfig

RuleAcceptor = Callable[[ParsedRule], bool]

_REMOVAL_CONFIDENCE = 2 / 3
"""What one pass alone, two of two, three of three and three of four reach; two of three don't."""


def accept_by_default(proposal: ParsedRule) -> bool:
    """Accept additions freely, and removals only with high confidence."""
    return proposal.action == "add" or proposal.confidence >= _REMOVAL_CONFIDENCE


def checked(acceptor: RuleAcceptor) -> RuleAcceptor:
    """Return a user's acceptor; what it raises is a `ProjectError` that names it.

    Raises:
        ProjectError: it can't be called.
    """
    if not callable(acceptor):
        raise ProjectError(
            f"The rule acceptor is {acceptor!r}, which can't be called.",
            hint="It takes a ParsedRule and returns whether to test it.",
        )

    def accept(proposal: ParsedRule) -> bool:
        with calling("rule acceptor"):
            return bool(acceptor(proposal))

    return accept


class RuleSelector:
    """Tests the proposals of a batch and applies those that pass.

    `default` tests one proposal after the other, each against the rules as they stand by then, so that two
    proposals which repair the same examples aren't both kept. `greedy` is forward selection: it tests
    all of them, keeps the best, tests the others again on top of it, until none passes.
    """

    def __init__(self, tester: RuleTester | None, config: PromptGradConfig, emit: Emit) -> None:
        self._tester = tester
        self._config = config
        self._emit = emit

    def apply(
        self,
        proposals: Sequence[ParsedRule],
        rules: RuleSet,
        made: Callable[[ParsedRule], Rule],
        place: tuple[int, int],
        keep: Callable[[RuleSet], None] | None = None,
    ) -> tuple[RuleSet, list[Tested]]:
        """Return `rules` after the proposals that passed, and the tests; `made` makes a proposal's rule.

        `keep` is called with the rules after each that passed, before the next is tested.
        """
        candidates = [_Candidate(proposal, made(proposal)) for proposal in proposals]
        if self._tester is None:
            for candidate in candidates:
                rules = self._changed(candidate, candidate.rule, rules, place)
            return rules, []
        if self._config.rule_selection_mode == "greedy":
            return self._greedy(candidates, rules, place, self._tester, keep)
        results = []
        for candidate in candidates:
            tested = candidate.test(rules, place, self._tester)
            if tested is None:
                continue
            results.append(tested)
            if tested.verdict == "accepted":
                rules = self._changed(candidate, tested.rule, rules, place)
                if keep is not None:
                    keep(rules)
        return rules, results

    def _greedy(
        self,
        candidates: list[_Candidate],
        rules: RuleSet,
        place: tuple[int, int],
        tester: RuleTester,
        keep: Callable[[RuleSet], None] | None,
    ) -> tuple[RuleSet, list[Tested]]:
        remaining = list(candidates)
        results: list[Tested] = []
        while remaining:
            tested = [(candidate, candidate.test(rules, place, tester)) for candidate in remaining]
            passed = [(c, t) for c, t in tested if t is not None and t.verdict == "accepted"]
            results += [t for _, t in tested if t is not None]
            if not passed:
                break
            best, result = max(passed, key=lambda pair: pair[1].evidence.delta)
            rules = self._changed(best, result.rule, rules, place)
            if keep is not None:
                keep(rules)
            remaining.remove(best)
        return rules, results

    def _changed(self, candidate: _Candidate, rule: Rule, rules: RuleSet, place: tuple[int, int]) -> RuleSet:
        after = rules.adding(rule) if candidate.proposal.action == "add" else rules.removing(rule)
        if after == rules:
            return rules
        epoch, batch = place
        self._emit(
            RulesChanged(
                id=f"epoch{epoch}/batch{batch}/rules/{rules.digest}/{after.digest}",
                epoch=epoch,
                batch=batch,
                reason="accepted" if candidate.proposal.action == "add" else "removed",
                digest=after.digest,
                rules=after.rules,
            )
        )
        return after


class _Candidate:
    def __init__(self, proposal: ParsedRule, rule: Rule) -> None:
        self.proposal = proposal
        self.rule = rule

    def test(self, rules: RuleSet, place: tuple[int, int], tester: RuleTester) -> Tested | None:
        """Return the result of testing this proposal on top of `rules`; None if it changes nothing."""
        adds = self.proposal.action == "add"
        after = rules.adding(self.rule) if adds else rules.removing(self.rule)
        if after == rules:
            return None
        epoch, batch = place
        return tester.test(Change("add" if adds else "remove", self.rule, rules, after, epoch, batch))

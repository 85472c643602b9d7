"""From proposals to the rules that are kept: one test for each change, in one of two orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.ground.errors import ProjectError
from engine.journal.events import ChangeReason, Emit
from engine.learning.place import Place
from engine.learning.rule_tests import Change, RuleTester, Tested
from engine.learning.state_events import state_changed
from engine.programs.rules import ParsedRule, Rule
from engine.programs.state import LearnedState
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
        state: LearnedState,
        made: Callable[[ParsedRule], Rule],
        place: Place,
        keep: Callable[[LearnedState], None] | None = None,
    ) -> tuple[LearnedState, list[Tested]]:
        """Return `state` after the proposals that passed, and the tests; `made` makes a proposal's rule.

        `keep` is called with the state after each that passed, before the next is tested.
        """
        candidates = [_ProposedChange(proposal.action == "add", made(proposal)) for proposal in proposals]
        if self._tester is None:
            for candidate in candidates:
                state = self._changed(candidate, candidate.rule, state, place)
            return state, []
        if self._config.rule_selection_mode == "greedy":
            return self._greedy(candidates, state, place, self._tester, keep)
        results = []
        for candidate in candidates:
            tested = candidate.test(state, place, self._tester)
            if tested is None:
                continue
            results.append(tested)
            if tested.verdict == "accepted":
                state = self._changed(candidate, tested.rule, state, place)
                if keep is not None:
                    keep(state)
        return state, results

    def _greedy(
        self,
        candidates: list[_ProposedChange],
        state: LearnedState,
        place: Place,
        tester: RuleTester,
        keep: Callable[[LearnedState], None] | None,
    ) -> tuple[LearnedState, list[Tested]]:
        remaining = list(candidates)
        results: list[Tested] = []
        while remaining:
            tested = [(candidate, candidate.test(state, place, tester)) for candidate in remaining]
            passed = [(c, t) for c, t in tested if t is not None and t.verdict == "accepted"]
            results += [t for _, t in tested if t is not None]
            if not passed:
                break
            best, result = max(passed, key=lambda pair: pair[1].evidence.delta)
            state = self._changed(best, result.rule, state, place)
            if keep is not None:
                keep(state)
            remaining.remove(best)
        return state, results

    def _changed(
        self, candidate: _ProposedChange, rule: Rule, state: LearnedState, place: Place
    ) -> LearnedState:
        after = candidate.on(state, rule)
        if after == state:
            return state
        event = f"{place}/rules/{state.digest}/{after.digest}"
        reason: ChangeReason = "accepted" if candidate.adds else "removed"
        self._emit(state_changed(after, event, place, reason))
        return after


@dataclass(frozen=True)
class _ProposedChange:
    adds: bool
    rule: Rule

    def on(self, state: LearnedState, rule: Rule) -> LearnedState:
        return state.adding(rule) if self.adds else state.removing(rule)

    def test(self, state: LearnedState, place: Place, tester: RuleTester) -> Tested | None:
        """Return the result of testing this proposal on top of `state`; None if it changes nothing."""
        after = self.on(state, self.rule)
        if after == state:
            return None
        return tester.test(Change("add" if self.adds else "remove", self.rule, state, after, place))

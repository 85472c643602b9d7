"""Learning both layers from a batch: demonstrations first, then rules on top, each by its own paired test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.ground.examples import Item
from engine.journal.event_parts import Phase
from engine.journal.events import ChangeReason, Emit
from engine.learning.analysis.batches import Batch
from engine.learning.answers import AnswerSpace
from engine.learning.demonstrations.search import DemonstrationSearch
from engine.learning.layer_tests import LayerResult
from engine.learning.place import Place
from engine.learning.proposals.source import Findings
from engine.learning.review import Reviewer
from engine.learning.rule_search import RuleSearch
from engine.learning.rule_tests import Change, Tested
from engine.learning.screening.likelihood_signal import LikelihoodSignal
from engine.learning.screening.signal import Signal
from engine.learning.state_events import state_changed
from engine.programs.state import LearnedState

Enter = Callable[[Phase, Place, str], None]
"""Called with a phase, its place and a detail when the phase begins."""

Keep = Callable[[LearnedState], None]
"""Called with each state that passed its test, before anything else is tried."""


class LayerLearner:
    """Tries additions to both layers of a state, and returns the state with those that passed."""

    def __init__(
        self,
        demonstrations: DemonstrationSearch | None,
        rules: RuleSearch | None,
        signal: Signal,
        space: AnswerSpace | None,
        train: Sequence[Item],
        *,
        failure_threshold: float,
        reviewer: Reviewer | None,
        emit: Emit,
    ) -> None:
        self._demonstrations = demonstrations
        self._rules = rules
        self._signal = signal
        self._space = space
        self._train = train
        self._threshold = failure_threshold
        self._reviewer = reviewer
        self._emit = emit

    def learn(self, state: LearnedState, batch: Batch, enter: Enter, keep: Keep) -> LearnedState:
        """Return `state` with what passed; demonstrations are tried once an epoch until there are some."""
        place = batch.place
        given = self._given(batch)
        if isinstance(self._signal, LikelihoodSignal):
            self._signal.likelihood.compete(given)
        if self._demonstrations is not None and not len(state.demonstrations):
            enter("demonstrations", place, "")
            for result in self._demonstrations.propose(state, place):
                if result.is_accepted:
                    state = self._kept(result, keep)
        if self._rules is not None:
            enter("proposals", place, "")
            findings = Findings(
                state=state,
                train=self._train,
                space=self._space,
                place=place,
                given=given,
            )
            findings = replace(findings, confusions=self._rules.confusions(findings))
            for result in self._rules.propose(findings):
                if self._reviewer is not None:
                    state = self._reviewer.settle(state, _by_rule(result))
                    keep(state)
                elif result.is_accepted:
                    state = self._kept(result, keep)
        return state

    def _given(self, batch: Batch) -> dict[str, Any]:
        """Return the wrong answers of a batch, by the key of the example."""
        if self._space is None:
            return {}
        return {
            item.key: rollout.prediction[self._space.field]
            for item, rollout in batch.failures(self._threshold)
            if rollout.prediction is not None and rollout.prediction.get(self._space.field) is not None
        }

    def _kept(self, result: LayerResult, keep: Keep) -> LearnedState:
        change, state = result.change, result.state
        keep(state)
        reason: ChangeReason = "demonstrated" if change.layer == "demonstrations" else "accepted"
        reason = "thinned" if change.action == "remove" else reason
        self._emit(state_changed(state, f"{change.test_id}/state", change.place, reason))
        return state


def _by_rule(result: LayerResult) -> list[Tested]:
    """Return the test of a set as one test per rule, so that a person can decide on each."""
    change = result.change
    return [
        Tested(
            Change("add", rule, change.before, change.before.adding(rule), change.place),
            result.verdict,
            result.reason,
            result.evidence,
        )
        for rule in change.rules
    ]

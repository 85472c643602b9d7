"""The states that the optimization loop holds, and the result that it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.ground.interval import Interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.event_parts import MetricChange, SliceScores
from engine.journal.events import EpochOutcome
from engine.learning.slices import ScoredExamples
from engine.programs.rules import RuleSet
from engine.programs.state import LearnedState


@dataclass(frozen=True)
class Optimized:
    """What the loop found: the best rules, and validation scores before and after, as a whole and by slice.

    `reason` says in a sentence why the loop ended; `exhausted` that it ended for lack of budget. If that
    was in the middle of an epoch, the rules may be a state that was never scored: `best` is None then.
    """

    state: LearnedState
    baseline: Interval | None
    best: Interval | None
    reason: str
    exhausted: bool = False
    slices: Mapping[str, SliceScores] = field(default_factory=dict)
    metrics: Mapping[str, MetricChange] = field(default_factory=dict)
    layers: LayersCompared | None = None

    @property
    def rules(self) -> RuleSet:
        """The state's rules."""
        return self.state.rules


@dataclass(frozen=True)
class LoopStates:
    """The states of the loop at one moment; every change makes new ones.

    `best` scored best on the whole validation split, with `best_score`; the current epoch began with `start`.
    `tested` are the rules of the best state with what passed tests since, as long as they build on it.
    """

    current: LearnedState = field(default_factory=LearnedState)
    best: LearnedState = field(default_factory=LearnedState)
    start: LearnedState = field(default_factory=LearnedState)
    tested: RuleSet = field(default_factory=RuleSet)
    baseline: ScoredExamples | None = None
    best_score: ScoredExamples | None = None

    @property
    def builds_on_best(self) -> bool:
        """Whether the current epoch began with the best state."""
        return self.start == self.best

    def begun(self, baseline: ScoredExamples | None) -> LoopStates:
        """Return the states with the score of the base program."""
        return replace(self, baseline=baseline, best_score=baseline)

    def moved_to(self, current: LearnedState) -> LoopStates:
        """Return the states with another current one."""
        return replace(self, current=current)

    def tested_as(self, current: LearnedState) -> LoopStates:
        """Return the states with another current one, which tests or a person speak for."""
        return replace(self, current=current, tested=current.rules if self.builds_on_best else self.tested)

    def after_epoch(
        self, score: ScoredExamples, rollback_threshold: float
    ) -> tuple[LoopStates, EpochOutcome]:
        """Return the states after the current one was scored on all of validation, and what that means."""
        assert self.best_score is not None
        found, best_so_far = score.interval.score, self.best_score.interval.score
        if found > best_so_far:
            best = self.current
            improved = replace(self, best=best, best_score=score, start=best, tested=best.rules)
            return improved, "improved"
        fell = found < best_so_far - rollback_threshold
        current = self.best if fell else self.current
        states = replace(self, current=current, start=current, tested=self.best.rules)
        return states, "rolled_back" if fell else "no_better"

    def result(self, reason: str, *, exhausted: bool) -> Optimized:
        """Return the best state as the loop's result."""
        if self.baseline is None or self.best_score is None:
            return Optimized(self.best, None, None, reason, exhausted)
        return Optimized(
            self.best,
            self.baseline.interval,
            self.best_score.interval,
            reason,
            exhausted,
            self.best_score.gains_over(self.baseline),
            self.best_score.changes_from(self.baseline),
        )

"""The smallest set of rules and demonstrations that is no worse than the best by more than a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from engine.ground.errors import BudgetExhaustedError
from engine.ground.statistics import mean_interval
from engine.journal.events import Emit, PhaseStarted, ProgressEstimated
from engine.journal.objective_events import ObjectivesMet, SetSize
from engine.learning.ablation import compare_layers
from engine.learning.loop_states import Optimized
from engine.learning.optimizer import OptimizationSession
from engine.learning.rollouts import Rollout
from engine.learning.state_events import state_changed
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.objectives import Objectives
from engine.release.objectives.margin import NonInferiority, is_no_worse, margin_for
from engine.release.objectives.thinning import thinned

Part = Rule | Demonstration

_TIMED = 10
"""Examples that are timed, one at a time, to know the latency of a state."""


def slimmed(session: OptimizationSession, result: Optimized, wanted: Objectives, emit: Emit) -> Optimized:
    """Return a run's result with the smallest state that was found; the same if nothing may go.

    A used-up budget ends the search with what it has.

    Raises:
        ConfigError: the margin is smaller than what the validation split can show.
    """
    if not wanted.is_wanted or not result.state or result.best is None:
        return result
    search = _Search(session, result.state, wanted, emit)
    state = search.run()
    if state == result.state:
        return result
    emit(state_changed(state, "objectives/state", 0, 0, "thinned"))
    layers = compare_layers(session.prover, state, session.validation, emit) if result.layers else None
    best = mean_interval(search.scores(state))
    return replace(result, state=state, best=best, layers=layers, slices={})


class _Search:
    def __init__(
        self, session: OptimizationSession, best: LearnedState, wanted: Objectives, emit: Emit
    ) -> None:
        self._runner = session.prover
        self._validation = session.validation
        self._session = session
        self._wanted = wanted
        self._best = best
        self._state = best
        self._emit = emit
        self._tested = 0
        margin = margin_for(len(self._validation), wanted.margin, "[objectives] margin")
        self._test = NonInferiority(self.scores(best), margin)

    def run(self) -> LearnedState:
        """Return the smallest state, and emit what was left out."""
        self._emit(PhaseStarted(id="objectives/phase", phase="elimination", detail="objectives"))
        done = self._session.calls
        parts = len(self._best.rules) + len(self._best.demonstrations)
        expected = done + parts * len(self._validation)
        self._emit(ProgressEstimated(id="objectives/progress", done=done, expected=expected))
        try:
            self._thin()
            self._fit()
        except BudgetExhaustedError:
            pass  # every state on the way was tested
        gain = self._test.gain(self.scores(self._state))
        self._emit(
            ObjectivesMet(
                id="objectives",
                margin=self._test.margin,
                before=self._size(self._best),
                after=self._size(self._state),
                gain=gain,
                is_shown=is_no_worse(gain, self._test.margin),
                tested=self._tested,
                left_out=self._test.left_out,
                missed=tuple(self._missed(self._state)),
            )
        )
        return self._state

    def scores(self, state: LearnedState) -> list[float]:
        """Return the state's score on each validation example."""
        return self._scores_of(state, range(len(self._validation)))

    def _scores_of(self, state: LearnedState, numbers: Sequence[int]) -> list[float]:
        items = [self._validation[number] for number in numbers]
        return [rollout.score.value for rollout in self._runner.run(state, items)]

    def _thin(self) -> None:
        """Leave out demonstrations, then rules, as long as no more than the margin is lost."""
        shown = thinned(self._state.demonstrations.demonstrations, self._may_go(self._with_shown))
        self._state = self._with_shown(shown)
        # The least proved rule is tried first within each half.
        rules = sorted(self._state.rules, key=_effect, reverse=True)
        kept = {rule.id for rule in thinned(rules, self._may_go(self._with_rules))}
        self._state = self._with_rules([rule for rule in self._state.rules if rule.id in kept])

    def _may_go(self, made: Callable[[Sequence[Part]], LearnedState]) -> Callable[[Sequence[Part]], bool]:
        def may_go(rest: Sequence[Part]) -> bool:
            self._tested += 1
            state = made(rest)
            return self._test.holds(lambda numbers: self._scores_of(state, numbers))

        return may_go

    def _fit(self) -> None:
        """Meet the limits, whatever it costs: leave out what costs least score, one part after another."""
        while self._state and self._missed(self._state):
            options = [self._with_shown(rest) for rest in _each_left_out(self._state.demonstrations)]
            is_about_shown = self._too_many_shown(self._state)
            if not is_about_shown:
                options += [self._with_rules(rest) for rest in _each_left_out(self._state.rules)]
            self._tested += len(options)
            self._state = max(options, key=lambda state: (fmean(self.scores(state)), -self._tokens(state)))

    def _missed(self, state: LearnedState) -> list[str]:
        wanted, missed = self._wanted, []
        if self._too_many_shown(state):
            missed.append("max_demonstrations")
        if wanted.max_prompt_tokens is not None and self._tokens(state) > wanted.max_prompt_tokens:
            missed.append("max_prompt_tokens")
        latency = self._latency_ms(state)
        if wanted.max_latency_ms is not None and latency is not None and latency > wanted.max_latency_ms:
            missed.append("max_latency_ms")
        return missed

    def _too_many_shown(self, state: LearnedState) -> bool:
        most = self._wanted.max_demonstrations
        return most is not None and len(state.demonstrations) > most

    def _size(self, state: LearnedState) -> SetSize:
        return SetSize(
            rules=len(state.rules),
            demonstrations=len(state.demonstrations),
            prompt_tokens=self._tokens(state),
            latency_ms=self._latency_ms(state),
        )

    def _tokens(self, state: LearnedState) -> int:
        return max(rollout.prompt_tokens for rollout in self._rollouts(state))

    def _latency_ms(self, state: LearnedState) -> float | None:
        """Return the mean time of some examples, asked one at a time; None unless there is a limit."""
        if self._wanted.max_latency_ms is None:
            return None
        first, *timed = self._runner.latencies(state, self._validation[: _TIMED + 1])
        return 1000 * fmean(timed or [first])  # the first one warms the model up

    def _rollouts(self, state: LearnedState) -> list[Rollout]:
        return self._runner.run(state, self._validation)

    def _with_shown(self, shown: Sequence[Part]) -> LearnedState:
        demonstrations = [one for one in shown if isinstance(one, Demonstration)]
        return self._state.with_demonstrations(DemonstrationSet(demonstrations))

    def _with_rules(self, rules: Sequence[Part]) -> LearnedState:
        kept = {rule.id for rule in rules if isinstance(rule, Rule)}
        return self._state.with_rules(RuleSet(rule for rule in self._best.rules if rule.id in kept))


def _each_left_out(parts: RuleSet | DemonstrationSet) -> list[list[Part]]:
    known: list[Part] = list(parts)
    return [[*known[:number], *known[number + 1 :]] for number in range(len(known))]


def _effect(rule: Rule) -> float:
    return rule.evidence.delta if rule.evidence else 0.0

"""The smallest set of rules and demonstrations that is no worse than the best by more than a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil
from statistics import fmean

from engine.ground.errors import BudgetExhaustedError
from engine.ground.statistics import mean_interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.events import Emit, PhaseStarted, ProgressEstimated
from engine.journal.objective_events import ObjectivesMet, SetSize
from engine.learning.ablation import compare_layers
from engine.learning.loop_states import Optimized
from engine.learning.optimizer import OptimizationSession
from engine.learning.place import Place
from engine.learning.rollouts import Rollout
from engine.learning.state_events import state_changed
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.objectives import Objectives
from engine.release.objectives.margin import NonInferiority, is_no_worse, objectives_margin
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
    emit(state_changed(state, "objectives/state", Place(0), "thinned"))
    best = mean_interval(search.scores(state))
    layers = _compared_layers(session, state, emit) if result.layers else None
    return replace(result, state=state, best=best, layers=layers, slices={})


def _compared_layers(session: OptimizationSession, state: LearnedState, emit: Emit) -> LayersCompared | None:
    try:
        return compare_layers(session.prover, state, session.validation, emit)
    except BudgetExhaustedError:
        return None


class _Search:
    """The search for a smaller state; `_state` is the smallest so far, scored on all of validation."""

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
        self._latencies: dict[str, float] = {}
        margin = objectives_margin(wanted, len(self._validation))
        self._test = NonInferiority(self.scores(best), margin)

    def run(self) -> LearnedState:
        """Return the smallest state, and emit what was left out."""
        self._emit(PhaseStarted(id="objectives/phase", phase="elimination", detail="objectives"))
        self._expect("objectives", len(self._best.rules) + len(self._best.demonstrations))
        with suppress(BudgetExhaustedError):
            self._thin()
            self._fit()
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

    def _expect(self, place: str, states: int) -> None:
        """Report that so many states are to be scored."""
        done = self._session.calls
        expected = done + states * len(self._validation) * len(self._session.program.predictors)
        self._emit(ProgressEstimated(id=f"{place}/progress", done=done, expected=expected))

    def scores(self, state: LearnedState) -> list[float]:
        """Return the state's score on each validation example."""
        return self._scores_of(state, range(len(self._validation)))

    def _scores_of(self, state: LearnedState, numbers: Sequence[int]) -> list[float]:
        items = [self._validation[number] for number in numbers]
        return [rollout.score.value for rollout in self._runner.run(state, items)]

    def _thin(self) -> None:
        """Leave out demonstrations, then rules, as long as no more than the margin is lost."""
        thinned(self._state.demonstrations.demonstrations, self._may_go(self._with_shown))
        # The least proved rule is tried first within each half.
        rules = sorted(self._state.rules, key=lambda rule: rule.gain, reverse=True)
        thinned(rules, self._may_go(self._with_rules))

    def _may_go(self, made: Callable[[Sequence[Part]], LearnedState]) -> Callable[[Sequence[Part]], bool]:
        def may_go(rest: Sequence[Part]) -> bool:
            self._tested += 1
            state = made(rest)
            if not self._test.holds(lambda numbers: self._scores_of(state, numbers)):
                return False
            self._state = state
            return True

        return may_go

    def _fit(self) -> None:
        """Meet the limits, whatever it costs: leave out what costs least score, half of the excess at a time.

        Each round tries every part alone, so that few rounds are needed where much has to go.
        """
        rounds = 0
        while self._state and self._missed(self._state):
            rounds += 1
            is_about_shown = self._surplus(self._state) > 0
            parts: list[Part] = [*self._state.demonstrations, *(() if is_about_shown else self._state.rules)]
            self._tested += len(parts)
            self._expect(f"objectives/fit/{rounds}", len(parts) + 1)
            state = self._without(self._least_missed(parts))
            self.scores(state)
            self._state = state

    def _least_missed(self, parts: Sequence[Part]) -> list[Part]:
        """Return the parts that are missed least by themselves and together make half of the excess."""
        alone = [(part, self._without([part])) for part in parts]
        alone.sort(key=lambda one: (-fmean(self.scores(one[1])), self._tokens(one[1])))
        ranked = [part for part, _ in alone]
        if surplus := self._surplus(self._state):
            return ranked[: ceil(surplus / 2)]
        tokens, wanted = self._tokens(self._state), self._excess_tokens() / 2
        count = 1
        saved = tokens - self._tokens(alone[0][1])
        while saved < wanted and count < len(alone) // 2:
            saved += tokens - self._tokens(alone[count][1])
            count += 1
        return ranked[:count]

    def _excess_tokens(self) -> float:
        """How many tokens too many the longest prompt has; a time that is too long counts in proportion."""
        tokens, latency = self._tokens(self._state), self._latency_ms(self._state)
        allowed: list[float] = [self._wanted.max_prompt_tokens or tokens]
        if latency is not None and self._wanted.max_latency_ms is not None:
            allowed.append(tokens * self._wanted.max_latency_ms / latency)
        return tokens - min(allowed)

    def _without(self, parts: Sequence[Part]) -> LearnedState:
        gone = {part.id for part in parts}
        shown = DemonstrationSet(one for one in self._state.demonstrations if one.id not in gone)
        rules = RuleSet(rule for rule in self._state.rules if rule.id not in gone)
        return self._state.with_demonstrations(shown).with_rules(rules)

    def _missed(self, state: LearnedState) -> list[str]:
        wanted, missed = self._wanted, []
        if self._surplus(state):
            missed.append("max_demonstrations")
        if wanted.max_prompt_tokens is not None and self._tokens(state) > wanted.max_prompt_tokens:
            missed.append("max_prompt_tokens")
        latency = self._latency_ms(state)
        if wanted.max_latency_ms is not None and latency is not None and latency > wanted.max_latency_ms:
            missed.append("max_latency_ms")
        return missed

    def _surplus(self, state: LearnedState) -> int:
        """How many demonstrations too many a state shows."""
        most = self._wanted.max_demonstrations
        return 0 if most is None else max(len(state.demonstrations) - most, 0)

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
        """Return the mean time of some examples, asked one at a time; None without a limit or a budget."""
        if self._wanted.max_latency_ms is None:
            return None
        if state.digest not in self._latencies:
            try:
                first, *timed = self._runner.latencies(state, self._validation[: _TIMED + 1])
            except BudgetExhaustedError:
                return None
            self._latencies[state.digest] = 1000 * fmean(timed or [first])  # the first warms the model up
        return self._latencies[state.digest]

    def _rollouts(self, state: LearnedState) -> list[Rollout]:
        return self._runner.run(state, self._validation)

    def _with_shown(self, shown: Sequence[Part]) -> LearnedState:
        demonstrations = [one for one in shown if isinstance(one, Demonstration)]
        return self._state.with_demonstrations(DemonstrationSet(demonstrations))

    def _with_rules(self, rules: Sequence[Part]) -> LearnedState:
        kept = {rule.id for rule in rules if isinstance(rule, Rule)}
        return self._state.with_rules(RuleSet(rule for rule in self._best.rules if rule.id in kept))

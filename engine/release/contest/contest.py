"""A contest: lanes at one budget, a ranking by validation, and one opening of the test split for all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from itertools import count
from statistics import fmean
from typing import Any

from engine.ground.errors import ConfigError, PromptGradError
from engine.ground.interval import Interval
from engine.ground.seeds import derive_seed
from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.contest_events import ContestResult, ContestStarted, LaneFinished
from engine.journal.event_base import Tokens
from engine.journal.event_parts import KeptRule, ModelUsed, Phase, RunSummary, SplitScores
from engine.journal.events import (
    EpochFinished,
    Event,
    PhaseStarted,
    ProgressEstimated,
    RolloutFinished,
    TestFinished,
)
from engine.learning.rollouts import Rollout, RolloutRunner
from engine.programs.state import LearnedState
from engine.project.methods import ContestPlan
from engine.release.artifacts import program_digest
from engine.release.contest.lane import Found, Lane
from engine.release.contest.lane_worker import NO_RESULT, LaneWorker
from engine.release.contest.ranking import RankedMethod, Scored, ranked, result_of
from engine.release.contest.saving import save_program
from engine.release.measurement import Measurement
from engine.release.run_context import Listener, RunContext
from engine.release.sealed_test import open_test_split

_CALLS_BETWEEN_REPORTS = 10
_TIMED = 8
"""Examples that are asked again to measure the pace where every answer is known already."""


def contested(context: RunContext, wanted: ContestPlan) -> RunSummary:
    """Carry out a contest within a run and return its summary; the winner's program is the run's result.

    Raises:
        ConfigError: there is no validation split to rank by.
        RunStoppedError: a person stopped it; a resume goes on.
    """
    if not context.plan.validation:
        raise ConfigError(
            "A contest is ranked on validation examples, and there are none.",
            hint="Set [data] validation in promptgrad.toml.",
        )
    context.refuse_other_models()
    worker = LaneWorker(context)
    with closing(worker.runner(Found(context.plan.program, LearnedState()))) as own:
        return _Contest(context, wanted, worker, own).run()


class _Contest:
    def __init__(
        self, context: RunContext, wanted: ContestPlan, worker: LaneWorker, own: RolloutRunner
    ) -> None:
        self._context = context
        self._plan = context.plan
        self._wanted = wanted
        self._worker = worker
        self._own = own
        self._emit = context.events.emit
        self._done = 0
        self._expected = 0
        self._per_example = 1.0
        self._opening = 0

    def run(self) -> RunSummary:
        baseline = self._baseline()
        calls = self._begin()
        lanes = [self._lane(lane, calls) for lane in self._lanes()]
        contestants = ranked(lanes)
        if not self._plan.test or not any(one.scored for one in contestants):
            return self._closed(contestants, baseline, None, calls)
        self._open_test(contestants)
        lanes, measured = self._test(lanes)
        self._plan.models.task.verify_revision()
        return self._closed(ranked(lanes), baseline, measured, calls)

    def _lanes(self) -> list[Lane]:
        seed = self._plan.config.seed or 0
        seeds = [seed, *(derive_seed(seed, "contest", n) for n in range(2, self._wanted.seeds + 1))]
        # By seed, not by method: a contest that is stopped early has compared all of them.
        return [
            Lane(self._plan.run, method, number, of_lane)
            for number, of_lane in enumerate(seeds, 1)
            for method in self._wanted.methods
        ]

    def _baseline(self) -> Interval:
        """Score the project's own program on validation."""
        self._expected = len(self._plan.validation)
        self._enter("baseline", "baseline")
        items = self._own.items([example.values for example in self._plan.validation], "validation")
        score = mean_interval([rollout.score.value for rollout in self._own.run(LearnedState(), items)])
        self._emit(
            EpochFinished(
                id="epoch0",
                epoch=0,
                validation=score,
                rules=LearnedState().digest,
                n_rules=0,
                best=score.score,
                outcome="baseline",
            )
        )
        return score

    def _begin(self) -> int:
        """Return the budget of a lane; minutes become calls by the pace of the baseline, once and for all."""
        begun = self._context.journal.event_of(self._plan.run, ContestStarted)
        if begun is None:
            pace = self._pace()
            minutes = self._wanted.minutes
            calls = self._wanted.calls or 0
            if minutes is not None:
                calls = max(int(minutes * 60 / pace), 1) if pace else 1
            begun = ContestStarted(
                id="contest",
                methods=self._wanted.methods,
                seeds=self._wanted.seeds,
                calls=calls,
                minutes=minutes,
                seconds_per_call=pace,
            )
        self._emit(begun)
        self._done = self._own.calls
        lanes = len(self._wanted.methods) * self._wanted.seeds
        self._per_example = max(len(self._plan.program.predictors()), self._own.calls_per_rollout)
        scored = lanes * len(self._plan.validation) + (lanes + 1) * len(self._plan.test)
        self._expected = round(self._done + lanes * begun.calls + scored * self._per_example)
        return begun.calls

    def _pace(self) -> float:
        """Return the seconds of a call as the baseline was scored, or of a few calls that are asked again."""
        if pace := self._context.replay.seconds_per_call:
            return pace
        items = self._own.items([one.values for one in self._plan.validation[:_TIMED]], "validation")
        return fmean(self._own.latencies(LearnedState(), items))

    def _lane(self, lane: Lane, calls: int) -> Scored:
        self._enter(f"lane/{lane.method}/{lane.number}", "lane", self._title(lane))
        begun = self._done

        def on_call(used: int) -> None:
            if used % _CALLS_BETWEEN_REPORTS == 0:
                self._progress(f"lane/{lane.method}/{lane.number}/{used}", begun + used)

        found = self._worker.run(lane, calls, on_call)
        scored = Scored(lane, found)
        self._done = begun + found.calls
        if not found.problem:
            scored = self._validated(scored)
        # A lane that needed less than its budget shortens the contest by the rest.
        self._expected -= max(calls - found.calls, 0)
        self._emit(
            LaneFinished(
                id=f"lane/{lane.method}/{lane.number}",
                lane=lane.id,
                method=lane.method,
                number=lane.number,
                seed=lane.seed,
                calls=found.calls,
                tokens=found.tokens,
                validation=mean_interval(scored.validation) if scored.validation else None,
                rules=len(scored.found.state.rules),
                demonstrations=sum(len(step.demos) for step in found.program.predictors())
                + len(found.state.demonstrations),
                problem=scored.found.problem,
            )
        )
        return scored

    def _title(self, lane: Lane) -> str:
        return f"{lane.method}, seed {lane.number} of {self._wanted.seeds}"

    def _validated(self, scored: Scored) -> Scored:
        """Score what a lane made on validation, outside of its budget."""
        found = scored.found
        listen = self._counting(f"lane/{scored.lane.method}/{scored.lane.number}")
        with closing(self._worker.runner(found, scored.lane, listen)) as runner:
            items = runner.items([example.values for example in self._plan.validation], "validation")
            try:
                rollouts = runner.run(found.state, items)
            except NO_RESULT as error:
                return _disqualified(scored, error)
            finally:
                self._done += runner.calls
        return replace(
            scored,
            validation=_values(rollouts),
            prompt_tokens=fmean(rollout.tokens.prompt for rollout in rollouts),
            answer_tokens=fmean(rollout.tokens.completion for rollout in rollouts),
        )

    def _open_test(self, contestants: Sequence[RankedMethod]) -> None:
        """Record that the test split is opened, once for all programs together."""
        states = [_identity(lane) for one in contestants for lane in one.scored]
        self._enter("test", "test")
        self._opening = open_test_split(
            self._context.journal,
            self._plan.run,
            self._plan.test_split,
            place="test",
            purpose="release",
            program=program_digest(self._plan.program),
            rules=sha256(" ".join(states).encode()).hexdigest()[:16],
            model=ModelUsed.of(self._plan.models.task),
            emit=self._emit,
            fingerprint={},
        ).opening

    def _test(self, lanes: Sequence[Scored]) -> tuple[list[Scored], dict[str, Measurement]]:
        """Score the lanes on the test split; return them with the measurement of each by its id.

        A lane that can't answer some example is disqualified. The project's own program comes first, because
        without its scores nothing can be compared.
        """
        done: list[Scored] = []
        measured: dict[str, Measurement] = {}
        begun = self._own.calls
        items = self._own.items([example.values for example in self._plan.test], "test")
        self._own.run(LearnedState(), items)
        self._done += self._own.calls - begun
        for lane in lanes:
            if lane.validation:
                lane = self._measured(lane, measured)
                self._progress(f"test/{lane.lane.method}/{lane.lane.number}", self._done)
            done.append(lane)
        return done, measured

    def _measured(self, scored: Scored, measured: dict[str, Measurement]) -> Scored:
        listen = self._counting(f"test/{scored.lane.method}/{scored.lane.number}")
        with closing(self._worker.runner(scored.found, scored.lane, listen)) as runner:
            try:
                measurement = self._plan.test_split.measure(runner, scored.found.state, self._own)
            except NO_RESULT as error:
                return _disqualified(scored, error)
            finally:
                self._done += runner.calls
        measured[scored.lane.id] = measurement
        return replace(scored, test=[example.optimized for example in measurement.tested])

    def _closed(
        self,
        contestants: list[RankedMethod],
        baseline: Interval,
        measured: dict[str, Measurement] | None,
        calls: int,
    ) -> RunSummary:
        """Save the programs, the winner's last, and return the summary."""
        known = [one for one in contestants if one.scored]
        for one in reversed(known):
            measurement = (measured or {}).get(one.best.lane.id, Measurement())
            save_program(self._context, self._own, one, baseline, measurement, self._opening)
        own = [example.baseline for example in next(iter(measured.values())).tested] if measured else []
        result = result_of(contestants, own, calls, self._wanted.seeds)
        return self._summary(known, result, baseline, measured)

    def _summary(
        self,
        known: Sequence[RankedMethod],
        result: ContestResult,
        baseline: Interval,
        measured: dict[str, Measurement] | None,
    ) -> RunSummary:
        calls, tokens = self._paid()
        shared: dict[str, Any] = {
            "run": self._plan.run,
            "model": ModelUsed.of(self._plan.models.task),
            "calls": calls,
            "tokens": tokens,
            "seconds": self._context.seconds,
            "contest": result,
            "test_opening": self._opening,
        }
        if not known:
            reason = "no method had a result: the table says why"
            return RunSummary(
                status="no_improvement", reason=reason, baseline=SplitScores(validation=baseline), **shared
            )
        winner = known[0]
        best = winner.best
        found = best.found
        before, after = (
            SplitScores(validation=baseline),
            SplitScores(validation=mean_interval(best.validation)),
        )
        if measured:
            tested = measured[best.lane.id]
            before = before.model_copy(update={"test": tested.baseline})
            after = after.model_copy(update={"test": tested.optimized})
            self._emit(
                TestFinished(
                    id="test",
                    baseline=tested.baseline,
                    optimized=tested.optimized,
                    gain=gain_interval(
                        [example.baseline for example in tested.tested],
                        [example.optimized for example in tested.tested],
                        comparisons=max(result.comparisons, 1),
                    ),
                    slices=tested.slices,
                    opening=self._opening,
                )
            )
        is_better = fmean(best.validation) > baseline.score
        return RunSummary(
            status="improved" if is_better and winner.artifact and winner.passed else "no_improvement",
            reason=_reason(known, baseline),
            baseline=before,
            optimized=after,
            rules=tuple(map(KeptRule.of, found.state.rules)),
            demonstrations=found.state.demonstrations.demonstrations,
            artifact=winner.artifact if winner.passed else None,
            withheld=None if winner.passed else winner.artifact,
            **shared,
        )

    def _paid(self) -> tuple[int, Tokens]:
        """Return what the contest and its lanes have paid for: calls, and their tokens."""
        journal = self._context.journal
        runs = [self._plan.run, *(lane.id for lane in self._lanes())]
        return sum(map(journal.completions_paid, runs)), sum(map(journal.tokens_paid, runs), Tokens())

    def _enter(self, place: str, phase: Phase, detail: str = "") -> None:
        self._emit(PhaseStarted(id=f"{place}/phase", phase=phase, detail=detail))
        self._progress(place, self._done)

    def _progress(self, place: str, done: int) -> None:
        expected = max(self._expected, done)
        self._emit(ProgressEstimated(id=f"{place}/progress", done=done, expected=expected))

    def _counting(self, place: str) -> Listener:
        """Return what reports how far the scoring of a lane is: its rollouts are no events of the contest."""
        begun, rollouts = self._done, count(1)

        def listen(event: Event) -> None:
            if not isinstance(event, RolloutFinished):
                return
            number = next(rollouts)
            if number % _CALLS_BETWEEN_REPORTS == 0:
                self._progress(f"{place}/scored/{number}", round(begun + number * self._per_example))

        return listen


def _values(rollouts: Sequence[Rollout]) -> list[float]:
    return [rollout.score.value for rollout in rollouts]


def _disqualified(scored: Scored, error: PromptGradError) -> Scored:
    return Scored(scored.lane, replace(scored.found, problem=error.message))


def _identity(lane: Scored) -> str:
    prompts = str(lane.found.program.dump_state())
    return sha256(f"{prompts} {lane.found.state.digest} {lane.found.selection}".encode()).hexdigest()


def _reason(known: Sequence[RankedMethod], baseline: Interval) -> str:
    first = known[0]
    score = f"{fmean(first.validation):.3f} on validation, the project's own program {baseline.score:.3f}"
    return f"first of {len(known)} is {first.method}, with {score}"

"""A run from start to artifact: learn under the journal, open the test split once, save what was proved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

import dspy

from engine.artifacts import ArtifactContent, program_digest, save_artifact
from engine.config import PromptGradConfig
from engine.control import RunControl
from engine.data import LoadedExample, dataset_digest
from engine.errors import BudgetExhaustedError, JournalError, PromptGradError, RunStoppedError
from engine.events import (
    ArtifactSaved,
    DataUsed,
    Event,
    GateResult,
    Interval,
    KeptRule,
    ModelUsed,
    PhaseStarted,
    ProgressEstimated,
    ReviewApplied,
    RunContinued,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunSummary,
    SplitScores,
    Status,
    TestFinished,
)
from engine.formatting import ExampleFormatter
from engine.gates import GateReport, Gates
from engine.journal import Journal
from engine.loop import Optimized
from engine.measurement import Measurement
from engine.optimizer import OptimizationSession, PromptGradOptimizer
from engine.release_gate import evaluate_gates
from engine.replay import Replay
from engine.review import Decisions, reviewed_rules
from engine.revision import Model, RunModels
from engine.rules import Rule, RuleSet
from engine.score import Metric
from engine.sealed_test import TestSplit, open_test_split
from engine.selection import RuleAcceptor


@dataclass(frozen=True)
class RunPlan:
    """All that a run depends on. `config.seed` must be set: a replay needs the same one."""

    run: str
    project: Path
    name: str
    program: dspy.Module
    metric: Metric
    metric_name: str
    config: PromptGradConfig
    train: Sequence[LoadedExample]
    validation: Sequence[LoadedExample]
    test: Sequence[LoadedExample]
    models: RunModels
    artifacts: Path
    formatter: ExampleFormatter | None = None
    rule_acceptor: RuleAcceptor | None = None
    max_calls: int | None = None
    max_minutes: float | None = None
    gates: Gates = field(default_factory=Gates)
    slice_field: str | None = None
    review: Literal["none", "after", "during"] = "none"
    details: Mapping[str, Any] = field(default_factory=dict)


def execute(
    plan: RunPlan, journal: Journal, *, on_event: Callable[[Event], None] | None = None
) -> RunSummary:
    """Carry a run out, or take up where it was left, and return what it came to.

    What happens is written to the journal, then given to `on_event`; commands found in the journal
    pause, continue or stop the run. A run that ended before answers at once with its summary.

    Raises:
        RunLockedError: another process works on this run.
        PromptGradError: an error ended the run; its last event says so, and it can be resumed.
    """
    with journal.lock_run(plan.run):
        ended = _finished(journal, plan.run)
        if ended is not None:
            return ended
        return _Run(plan, journal, on_event).execute()


def apply_review(
    plan: RunPlan, journal: Journal, *, on_event: Callable[[Event], None] | None = None
) -> ReviewApplied:
    """Make a finished run's rules what a person decided, score them anew and save them as another version.

    The decisions are those of the latest review in the journal (see `engine.review`): kept rules go in,
    dropped ones out, edited ones in if their test doesn't reject them; the others stay as the run left
    them. The test split is opened once more for each set of rules that wasn't scored before.

    Raises:
        RunLockedError: another process works on this run.
        JournalError: the run isn't finished, or nothing was decided.
    """
    with journal.lock_run(plan.run):
        if _finished(journal, plan.run) is None:
            raise JournalError(
                f"The run {plan.run} isn't finished.", hint=f"Finish it first: promptgrad resume {plan.run}"
            )
        return _Run(plan, journal, on_event).apply_review()


def _finished(journal: Journal, run: str) -> RunSummary | None:
    summaries = [event.summary for _, event in journal.events(run) if isinstance(event, RunFinished)]
    done = [summary for summary in summaries if summary.status in ("improved", "no_improvement")]
    return done[-1] if done else None


@dataclass(frozen=True)
class _Release:
    """What is known at the end of a run: scores, the test split's measurement, and the gates' verdicts."""

    baseline: SplitScores = field(default_factory=SplitScores)
    optimized: SplitScores = field(default_factory=SplitScores)
    measured: Measurement = field(default_factory=Measurement)
    report: GateReport | None = None
    opening: int = 0

    @property
    def passed(self) -> bool:
        return self.report is None or self.report.passed

    @property
    def has_gain(self) -> bool:
        return not self.measured.tested or self.measured.gain.score > 0

    @property
    def gates(self) -> tuple[GateResult, ...]:
        return self.report.results if self.report else ()


class _Run:
    def __init__(self, plan: RunPlan, journal: Journal, on_event: Callable[[Event], None] | None) -> None:
        self._plan = plan
        self._journal = journal
        self._on_event = on_event
        self._started = time.monotonic()
        events = [event for _, event in journal.events(plan.run)]
        self._attempt = 1 + sum(isinstance(event, RunStarted | RunResumed) for event in events)
        self._seconds_before = _worked_seconds(events)
        self._pauses = sum(isinstance(event, RunPaused) for event in events)

    def execute(self) -> RunSummary:
        self._emit(self._opening())
        with self._controlled():
            try:
                summary = self._optimize()
            except RunStoppedError as error:
                summary = self._summary("stopped", error.message)
            except BudgetExhaustedError as error:
                summary = self._summary("budget", str(error))
            except PromptGradError as error:
                self._finish(self._summary("error", str(error)))
                raise
        self._finish(summary)
        return summary

    def apply_review(self) -> ReviewApplied:
        with self._controlled(), closing(self._session()) as session:
            rules, number = reviewed_rules(self._journal, self._plan.run, session.tester, session.emit)
            validation = session.validate(rules)
            release = self._tested(
                session, rules, session.validate(RuleSet()), validation, place=f"review/{number}/test"
            )
            applied = ReviewApplied(
                id=f"review/{number}",
                number=number,
                rules=rules.rules,
                validation=validation,
                test=release.optimized.test,
                gain=release.measured.gain if release.measured.tested else None,
                artifact=self._save(session, rules, release, place=f"review/{number}/artifact"),
            )
            self._emit(applied)
            return applied

    @contextmanager
    def _controlled(self) -> Iterator[None]:
        with RunControl(
            self._journal,
            self._plan.run,
            max_minutes=self._plan.max_minutes,
            on_stop=self._cancel_models,
            on_pause=self._report_pause,
        ) as control:
            self._control = control
            self._replay = Replay(self._journal, self._plan.run, checkpoint=control.checkpoint)
            yield

    def _session(self) -> OptimizationSession:
        plan = self._plan
        optimizer = PromptGradOptimizer(
            plan.metric, plan.config, example_formatter=plan.formatter, rule_acceptor=plan.rule_acceptor
        )
        return OptimizationSession(
            optimizer,
            plan.program,
            _values(plan.train),
            _values(plan.validation) or None,
            task_lm=self._replay.lm(plan.models.task),
            reflection_lm=self._replay.lm(plan.models.reflection),
            test_size=len(plan.test),
            decisions=self._decisions() if plan.review == "during" else None,
            emit=self._emit,
        )

    def _optimize(self) -> RunSummary:
        with closing(self._session()) as session:
            self._budget(reserve=self._test_calls(session))
            found = session.run()
            self._budget(reserve=0)
            self._control.release_deadline()
            return self._close(session, found)

    def _decisions(self) -> Decisions:
        return Decisions(lambda key: self._journal.decision(self._plan.run, key), self._control.checkpoint)

    def _close(self, session: OptimizationSession, found: Optimized) -> RunSummary:
        """Open the test split, decide, and save the artifact if the rules have earned it."""
        if found.baseline is None:
            return self._summary("budget", f"{found.reason}: not even the baseline is known")
        release = self._tested(session, found.rules, found.baseline, found.best)
        status, reason = _outcome(found, release.report)
        if found.exhausted and self._plan.max_calls is not None:
            reserve = self._test_calls(session)
            reason += f" Of {self._plan.max_calls}, {reserve} were kept for the test split."
        path = self._save(session, found.rules, release) if found.rules and release.has_gain else None
        return self._summary(status, reason, found.rules, release, path)

    def _tested(
        self,
        session: OptimizationSession,
        rules: RuleSet,
        baseline: Interval,
        optimized: Interval | None,
        place: str = "test",
    ) -> _Release:
        """Open the test split for `rules` and put what it shows to the gates."""
        if not self._plan.test:
            return _Release(SplitScores(validation=baseline), SplitScores(validation=optimized))
        opening, measured = self._measure(session, rules, place)
        return _Release(
            SplitScores(validation=baseline, test=measured.baseline),
            SplitScores(validation=optimized, test=measured.optimized),
            measured,
            evaluate_gates(self._plan.gates, measured) if rules else None,
            opening,
        )

    def _measure(self, session: OptimizationSession, rules: RuleSet, place: str) -> tuple[int, Measurement]:
        plan = self._plan
        split = TestSplit(plan.test, plan.slice_field, self._also_measured())
        self._enter("test", remaining=2 * split.size, done=session.runner.performed)
        opened = open_test_split(
            self._journal,
            plan.run,
            split,
            place=place,
            purpose="release",
            program=program_digest(plan.program),
            rules=rules.digest,
            model=_used(plan.models.task),
            emit=self._emit,
        )
        measured = split.measure(session.runner, rules)
        self._emit(
            TestFinished(
                id=place,
                baseline=measured.baseline,
                optimized=measured.optimized,
                gain=measured.gain,
                slices=measured.slices,
                opening=opened.opening,
            )
        )
        return opened.opening, measured

    def _also_measured(self) -> dict[str, Sequence[LoadedExample]]:
        """Return the examples outside the test split that a gate names."""
        names = set(self._plan.gates.must_pass)
        return {
            "train": [example for example in self._plan.train if example.name in names],
            "validation": [example for example in self._plan.validation if example.name in names],
        }

    def _save(
        self, session: OptimizationSession, rules: RuleSet, release: _Release, place: str = "artifact"
    ) -> str:
        plan = self._plan
        plan.models.task.verify_revision()
        self._enter("artifact", remaining=0, done=session.runner.performed)
        path = save_artifact(
            plan.artifacts,
            ArtifactContent(
                name=plan.name,
                module=session.program_with(rules),
                base=plan.program,
                base_instructions=session.program.base,
                instructions=session.program.instructions(rules),
                rules=rules.rules,
                config=asdict(plan.config),
                seed=session.seed,
                metric=plan.metric_name,
                revision=plan.models.task.revision,
                model_uri=plan.models.task.uri,
                data=self._data_digests(),
                baseline=release.baseline,
                optimized=release.optimized,
                run=plan.run,
                versions=_versions(),
                details=dict(plan.details),
                measurement=release.measured,
                gates=release.gates,
                test_opening=release.opening,
            ),
        )
        shown = str(path)
        self._emit(ArtifactSaved(id=place, path=shown, passed=release.passed))
        return shown

    def _opening(self) -> Event:
        plan = self._plan
        if self._attempt > 1:
            return RunResumed(id=f"resumed/{self._attempt}", attempt=self._attempt)
        steps = dict(plan.program.named_predictors())
        return RunStarted(
            id="run",
            run=plan.run,
            project=str(plan.project),
            program=program_digest(plan.program),
            model=_used(plan.models.task),
            reflection=_used(plan.models.reflection),
            base_instructions={name: step.signature.instructions for name, step in steps.items()},
            config=asdict(plan.config),
            seed=plan.config.seed or 0,
            data=self._data_digests(),
            versions=_versions(),
        )

    def _data_digests(self) -> dict[str, DataUsed]:
        splits = {"train": self._plan.train, "validation": self._plan.validation, "test": self._plan.test}
        return {name: DataUsed(n=len(split), digest=dataset_digest(split)) for name, split in splits.items()}

    def _test_calls(self, session: OptimizationSession) -> int:
        extra = sum(len(examples) for examples in self._also_measured().values())
        return 2 * (len(self._plan.test) + extra) * len(session.program.predictors)

    def _budget(self, reserve: int) -> None:
        """Leave `reserve` calls of the budget for what comes after."""
        if self._plan.max_calls is None:
            return
        left = self._plan.max_calls - reserve
        if left <= 0:
            raise BudgetExhaustedError(
                f"{self._plan.max_calls} calls don't pay for more than the test split ({reserve} calls).",
                hint="Give more with --max-calls, or use a smaller test split.",
            )
        self._replay.max_calls = left

    def _enter(self, phase: Any, *, remaining: int, done: int) -> None:
        self._emit(PhaseStarted(id=f"{phase}/phase", phase=phase))
        self._emit(ProgressEstimated(id=f"{phase}/progress", done=done, expected=done + remaining))

    def _cancel_models(self) -> None:
        self._plan.models.task.cancel()
        self._plan.models.reflection.cancel()

    def _report_pause(self, is_paused: bool) -> None:
        if is_paused:
            self._pauses += 1
            self._emit(RunPaused(id=f"paused/{self._pauses}", reason="a person paused the run"))
        else:
            self._emit(RunContinued(id=f"continued/{self._pauses}"))

    def _summary(
        self,
        status: Status,
        reason: str,
        rules: Sequence[Rule] | RuleSet = (),
        release: _Release | None = None,
        path: str | None = None,
    ) -> RunSummary:
        usage = self._replay.usage()
        release = release or _Release()
        return RunSummary(
            run=self._plan.run,
            status=status,
            reason=reason,
            model=_used(self._plan.models.task),
            baseline=release.baseline,
            optimized=release.optimized,
            rules=tuple(_kept(rule) for rule in rules),
            calls=usage.calls,
            tokens=usage.tokens,
            seconds=self._seconds_before + time.monotonic() - self._started,
            artifact=path if release.passed else None,
            slices=release.measured.slices,
            test_opening=release.opening,
            gates=release.gates,
            withheld=None if release.passed else path,
        )

    def _finish(self, summary: RunSummary) -> None:
        self._emit(RunFinished(id=f"finished/{self._attempt}", summary=summary))

    def _emit(self, event: Event) -> None:
        if self._journal.append(self._plan.run, event) and self._on_event is not None:
            self._on_event(event)


def _values(examples: Sequence[LoadedExample]) -> list[dict[str, Any]]:
    return [example.values for example in examples]


def _outcome(found: Optimized, report: GateReport | None) -> tuple[Status, str]:
    assert found.baseline is not None
    assert found.best is not None
    if found.exhausted:
        return "budget", found.reason
    if not found.rules:
        return "no_improvement", f"no rules scored better on validation than none; {found.reason}"
    if report is not None and not report.passed:
        gates = "gate" if len(report.failed) == 1 else f"{len(report.failed)} gates"
        return "no_improvement", (
            f"the rules gained {found.best.score - found.baseline.score:+.3f} on validation, "
            f"but failed the release {gates} on the test split: {report.reason}"
        )
    return "improved", found.reason


def _kept(rule: Rule) -> KeptRule:
    evidence = rule.evidence
    return KeptRule(
        id=rule.id,
        text=rule.text,
        trigger=rule.trigger,
        predictor=rule.predictor,
        delta=evidence.delta if evidence else None,
        low=evidence.low if evidence else None,
        high=evidence.high if evidence else None,
        n=evidence.n if evidence else 0,
        epoch=rule.epoch,
        batch=rule.batch,
    )


def _used(model: Model) -> ModelUsed:
    return ModelUsed(uri=model.uri, revision=model.revision.digest, verified=model.revision.verified)


def _versions() -> dict[str, str]:
    packages = ("dspy", "llama-cpp-python", "promptgrad-tui")
    return {"python": python_version(), **{package: version(package) for package in packages}}


def _worked_seconds(events: Sequence[Event]) -> float:
    """Seconds that earlier processes worked on the run, by the times of their events."""
    total, began, last = 0.0, None, 0.0
    for event in events:
        if isinstance(event, RunStarted | RunResumed):
            total += last - began if began is not None else 0.0
            began = event.time
        last = event.time
    return total + (last - began if began is not None else 0.0)

"""A run from start to artifact: learn under the journal, open the test split once, save what was proved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from typing import Any

from engine.ground.errors import (
    BudgetExhaustedError,
    JournalError,
    ProjectError,
    PromptGradError,
    RunStoppedError,
)
from engine.ground.model import Messages
from engine.journal.control import RunControl
from engine.journal.events import (
    Event,
    KeptRule,
    ModelUsed,
    Notice,
    Phase,
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
)
from engine.journal.journal import Journal
from engine.journal.live_text import LiveText, live_file
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_judge, recorded_scorer
from engine.learning.loop import Optimized
from engine.learning.optimizer import OptimizationSession, PromptGradOptimizer
from engine.learning.review import Decisions, reviewed_state
from engine.programs.coercion import as_metric
from engine.programs.program import base_instructions, refuse_own_models
from engine.programs.state import LearnedState
from engine.project.data import LoadedExample, placing_errors
from engine.project.gates import GateReport
from engine.release.artifacts import program_digest
from engine.release.base_making import made_base
from engine.release.proof import Proof, Prover
from engine.release.reserve import Reserve
from engine.release.run_plan import RunPlan, installed_versions


def execute(
    plan: RunPlan,
    journal: Journal,
    *,
    on_event: Callable[[Event], None] | None = None,
    heard: int | None = None,
) -> RunSummary:
    """Carry a run out, or take up where it was left, and return what it came to.

    What happens is written to the journal, then given to `on_event`; commands found in the journal
    pause, continue or stop the run, if their number is above `heard`, or if they are sent from now on. A run
    that ended before answers at once with its summary.

    Raises:
        RunLockedError: another process works on this run.
        PromptGradError: an error ended the run; its last event says so, and it can be resumed.
    """
    with journal.lock_run(plan.run):
        ended = _finished(journal, plan.run)
        if ended is not None:
            return ended
        return _Run(plan, journal, on_event, heard).execute()


def apply_review(
    plan: RunPlan, journal: Journal, *, on_event: Callable[[Event], None] | None = None
) -> ReviewApplied:
    """Make a finished run's rules what a person decided, score them again and save them as another version.

    The decisions are those of the latest review in the journal (see `engine.learning.review`): kept rules go
    in, dropped ones out, edited ones in if their test doesn't reject them; the others stay as the run left
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
    finished = journal.events(run, kinds=["run_finished"])
    summaries = [event.summary for _, event in finished if isinstance(event, RunFinished)]
    done = [summary for summary in summaries if summary.is_done]
    return done[-1] if done else None


class _Run:
    def __init__(
        self,
        plan: RunPlan,
        journal: Journal,
        on_event: Callable[[Event], None] | None,
        heard: int | None = None,
    ) -> None:
        self._plan = plan
        self._heard = heard
        self._journal = journal
        self._on_event = on_event
        self._started = time.monotonic()
        starts = journal.events(plan.run, kinds=["run_started", "run_resumed"])
        began = (event for _, event in starts if isinstance(event, RunStarted))
        self._began = next(began, self._beginning())
        self._attempt = 1 + len(starts)
        self._seconds_before = _worked_seconds(journal, plan.run, starts)
        self._reserve: Reserve | None = None
        self._pauses = len(journal.events(plan.run, kinds=["paused"]))

    def execute(self) -> RunSummary:
        self._emit(self._opening())
        if self._plan.judge_caution:
            self._emit(Notice(id="judge", level="warning", text=self._plan.judge_caution))
        if self._attempt == 1 and self._plan.carving is not None:
            self._plan.carving.report(self._emit)
        with self._controlled():
            try:
                with placing_errors(self._plan.examples):
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
            self._refuse_other_models()
            prover = self._prover(session)
            state, number = reviewed_state(self._journal, self._plan.run, session.tester, session.emit)
            validation = session.validate(state)
            proof = prover.prove(
                state, session.validate(LearnedState()), validation, place=f"review/{number}/test"
            )
            applied = ReviewApplied(
                id=f"review/{number}",
                number=number,
                rules=state.rules.rules,
                demonstrations=state.demonstrations.demonstrations,
                validation=validation,
                test=proof.optimized.test,
                gain=proof.measured.gain if proof.measured.tested else None,
                artifact=prover.save(state, proof, place=f"review/{number}/artifact"),
            )
            self._emit(applied)
            return applied

    @contextmanager
    def _controlled(self) -> Iterator[None]:
        with RunControl(
            self._journal,
            self._plan.run,
            heard=self._heard,
            max_minutes=self._plan.max_minutes,
            on_stop=self._cancel_models,
            on_pause=self._report_pause,
        ) as control:
            self._control = control
            self._replay = Replay(self._journal, self._plan.run, checkpoint=control.checkpoint)
            metric = as_metric(self._plan.metric, success_from=self._plan.config.failure_threshold)
            judge = recorded_judge(self._replay, self._plan.models.judging)
            self._plan = replace(self._plan, metric=metric.judged_by(judge))
            yield

    def _session(self) -> OptimizationSession:
        plan = self._plan
        refuse_own_models(plan.program)
        optimizer = PromptGradOptimizer(
            plan.metric, plan.config, example_formatter=plan.formatter, rule_acceptor=plan.rule_acceptor
        )
        return OptimizationSession(
            optimizer,
            made_base(plan, self._replay, self._emit),
            _values(plan.train),
            _values(plan.validation) or None,
            task_lm=self._replay.lm(plan.models.task),
            reflection_lm=self._replay.lm(plan.models.reflection),
            test_size=len(plan.test),
            slice_field=plan.slice_field,
            decisions=self._decisions() if plan.review == "during" else None,
            emit=self._emit,
            live=LiveText(live_file(self._journal.path, plan.run)),
            scorer=recorded_scorer(self._replay, plan.models.task),
            room=self._has_room,
        )

    def _has_room(self, messages: Messages) -> bool:
        """Return whether a prompt leaves half of the model's context to what else comes."""
        model = self._plan.models.task
        return model.count_prompt_tokens(messages) <= model.context_length // 2

    def _optimize(self) -> RunSummary:
        self._refuse_other_models()
        with closing(self._session()) as session:
            prover = self._prover(session)
            self._reserve = Reserve(prover, self._replay, self._control, self._plan.max_calls)
            found = session.run()
            kept = self._reserve.release()
            return self._close_early(prover, found, kept) if found.exhausted else self._close(prover, found)

    def _refuse_other_models(self) -> None:
        """Refuse to go on with other models than the run began with: what it found so far isn't theirs.

        Raises:
            ProjectError: a model's name means other weights, or another template, by now.
        """
        models = self._plan.models
        began_judge = self._began.judge or self._began.model
        for began, now in (
            (self._began.model, models.task),
            (self._began.reflection, models.reflection),
            (began_judge, models.judging),
        ):
            if ModelUsed.of(now).is_other_than(began):
                raise ProjectError(
                    f"Since run {self._plan.run} began, {began.uri} has moved: it was {began.short} and is "
                    f"now {now.revision.short}.",
                    hint="Bring back the model as it was, or start a new run: promptgrad run",
                )

    def _prover(self, session: OptimizationSession) -> Prover:
        return Prover(self._plan, self._journal, session, self._emit, self._enter)

    def _decisions(self) -> Decisions:
        return Decisions(lambda key: self._journal.decision(self._plan.run, key), self._control.checkpoint)

    def _close(self, prover: Prover, found: Optimized) -> RunSummary:
        """Open the test split, decide, and save the artifact if the rules have earned it."""
        assert found.baseline is not None
        proof = prover.prove(found.state, found.baseline, found.best)
        status, reason = _outcome(found, proof.report)
        return self._summary(status, reason, found, proof, self._saved(prover, found, proof))

    def _close_early(self, prover: Prover, found: Optimized, kept: str) -> RunSummary:
        """Prove what was found for the budget; without rules the test split stays sealed.

        The places differ from those of the run's end, which a resume with a larger budget comes to.
        """
        spent = found.reason.rstrip(".")
        if found.baseline is None:
            return self._summary("budget", f"{spent}, and not even the baseline is known. {kept}")
        validated = Proof(SplitScores(validation=found.baseline), SplitScores(validation=found.best))
        if not found.state:
            reason = f"{spent}. No rules were proved by then, so the test split stays sealed."
            return self._summary("budget", reason, found, validated)
        place = f"budget/{found.state.digest[:12]}"
        try:
            proof = prover.prove(found.state, found.baseline, found.best, place=place)
        except BudgetExhaustedError:
            reason = f"{spent}. The rest was too little for the test split, so no artifact was saved."
            return self._summary("budget", reason, found, validated)
        path = self._saved(prover, found, proof, place=f"{place}/artifact")
        lost = "" if path else " The rules gained nothing on the test split, so no artifact was saved."
        return self._summary("budget", f"{spent}. {kept}{lost}", found, proof, path)

    def _saved(
        self, prover: Prover, found: Optimized, proof: Proof, *, place: str = "artifact"
    ) -> str | None:
        return prover.save(found.state, proof, place=place) if found.state and proof.has_gain else None

    def _opening(self) -> Event:
        if self._attempt > 1:
            return RunResumed(id=f"resumed/{self._attempt}", attempt=self._attempt)
        return self._began

    def _beginning(self) -> RunStarted:
        plan = self._plan
        return RunStarted(
            id="run",
            run=plan.run,
            project=str(plan.project),
            program=program_digest(plan.program),
            model=ModelUsed.of(plan.models.task),
            reflection=ModelUsed.of(plan.models.reflection),
            judge=None if plan.models.judging is plan.models.task else ModelUsed.of(plan.models.judging),
            base_instructions=base_instructions(plan.program, plan.config.base_prompt_source),
            config=asdict(plan.config),
            seed=plan.config.seed or 0,
            data=plan.data,
            versions=installed_versions(),
            carved_test=plan.carving.recorded_by(plan.run) if plan.carving else None,
        )

    def _enter(self, place: str, phase: Phase, remaining: int, done: int) -> None:
        self._emit(PhaseStarted(id=f"{place}/phase", phase=phase))
        self._emit(ProgressEstimated(id=f"{place}/progress", done=done, expected=done + remaining))

    def _cancel_models(self) -> None:
        for model in self._plan.models.all:
            model.cancel()

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
        found: Optimized | None = None,
        proof: Proof | None = None,
        path: str | None = None,
    ) -> RunSummary:
        usage = self._replay.usage()
        proof = proof or Proof()
        return RunSummary(
            run=self._plan.run,
            status=status,
            reason=reason,
            model=ModelUsed.of(self._plan.models.task),
            baseline=proof.baseline,
            optimized=proof.optimized,
            rules=tuple(map(KeptRule.of, found.state.rules)) if found else (),
            demonstrations=found.state.demonstrations.demonstrations if found else (),
            layers=found.layers if found else None,
            calls=usage.calls,
            tokens=usage.tokens,
            seconds=self._seconds_before + time.monotonic() - self._started,
            artifact=path if proof.passed else None,
            slices=proof.measured.slices,
            validation_slices=dict(found.slices) if found else {},
            test_opening=proof.opening,
            gates=proof.gates,
            withheld=None if proof.passed else path,
            reflection_moved=proof.reflection_moved,
        )

    def _finish(self, summary: RunSummary) -> None:
        self._emit(RunFinished(id=f"finished/{self._attempt}", summary=summary))

    def _emit(self, event: Event) -> None:
        if self._reserve is not None:
            self._reserve.update(event)
        if self._journal.append(self._plan.run, event) and self._on_event is not None:
            self._on_event(event)


def _values(examples: Sequence[LoadedExample]) -> list[dict[str, Any]]:
    return [example.values for example in examples]


def _outcome(found: Optimized, report: GateReport | None) -> tuple[Status, str]:
    assert found.baseline is not None
    assert found.best is not None
    if not found.state:
        return "no_improvement", f"no rules scored better on validation than none; {found.reason}"
    if report is not None and not report.passed:
        gates = "the release gate" if len(report.failed) == 1 else f"{len(report.failed)} release gates"
        return "no_improvement", (
            f"the rules gained {found.best.score - found.baseline.score:+.3f} on validation, "
            f"but failed {gates} on the test split: {report.reason}"
        )
    return "improved", found.reason


def _worked_seconds(journal: Journal, run: str, starts: Sequence[tuple[int, Event]]) -> float:
    """Seconds that earlier processes worked on the run: from each one's start to its last event."""
    nexts = [*(number for number, _ in starts[1:]), None]
    return sum(
        (journal.last_time(run, before=later) or event.time) - event.time
        for (_, event), later in zip(starts, nexts, strict=False)  # no start, nothing after it
    )

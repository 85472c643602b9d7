"""A run from start to artifact: learn under the journal, open the test split once, save what was proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from engine.ground.errors import (
    BudgetExhaustedError,
    JournalError,
    PromptGradError,
    RunStoppedError,
)
from engine.journal.decisions import Decision
from engine.journal.event_parts import KeptRule, ModelUsed, RunSummary, SplitScores, Status
from engine.journal.events import EDIT_TRIAL, Event, Notice, PhaseStarted, ReviewApplied, RunFinished
from engine.journal.journal import Journal
from engine.journal.live_status import ScoringCount, scorings_file
from engine.journal.live_text import LiveText, live_file
from engine.journal.method_events import BaseCompared
from engine.journal.objective_events import ObjectivesMet
from engine.journal.scoring import recorded_scorer
from engine.learning.loop_states import Optimized
from engine.learning.optimizer import OptimizationSession, PromptGradOptimizer
from engine.learning.review import Decisions, edit_change, reviewed_state
from engine.learning.rule_tests import Tested
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.programs.program import refuse_own_models
from engine.programs.state import LearnedState
from engine.project.data import LoadedExample, placing_errors
from engine.project.gates import GateReport
from engine.release.base_making import made_base, refuse_small_budget
from engine.release.doubted_labels import report_changed_labels, report_doubted_labels
from engine.release.objectives.margin import objectives_margin
from engine.release.objectives.slimming import slimmed
from engine.release.proof import Proof, Prover
from engine.release.reserve import Reserve
from engine.release.run_context import RunContext, RunEvents, RunHistory, run_context
from engine.release.run_plan import RunPlan
from engine.release.search_model import prove_search_agrees


def execute(
    plan: RunPlan,
    journal: Journal,
    *,
    on_event: Callable[[Event], None] | None = None,
    after_command: int | None = None,
    work: Callable[[RunContext], RunSummary] | None = None,
) -> RunSummary:
    """Carry out a run, or resume it, and return its summary.

    Events are written to the journal, then passed to `on_event`. Commands in the journal pause, continue or
    stop the run, if their number is above `after_command` or they are sent from now on. A run that ended
    before returns its summary at once. `work` is what the run does, if not to learn rules.

    Raises:
        RunLockedError: another process works on this run.
        PromptGradError: an error ended the run; its last event says so, and it can be resumed.
    """
    with journal.lock_run(plan.run):
        ended = _finished(journal, plan.run)
        if ended is not None:
            return ended
        events, history = RunEvents(journal, plan.run, on_event), RunHistory.of(plan, journal)
        events.emit(history.opening)
        if plan.judge_caution:
            events.emit(Notice(id="judge", level="warning", text=plan.judge_caution))
        if history.attempt == 1 and plan.carving is not None:
            plan.carving.report(events.emit)
        with run_context(plan, journal, events, history, after_command) as context:
            summary = _worked_through(context, work or _learned)
        _finish(context, summary)
        return summary


def apply_review(
    plan: RunPlan,
    journal: Journal,
    *,
    on_event: Callable[[Event], None] | None = None,
    after_command: int | None = None,
) -> ReviewApplied:
    """Apply a person's decisions to a finished run's rules, score the result and save it as a new version.

    The decisions are those of the latest review in the journal (see `engine.learning.review`): kept rules are
    included, dropped ones aren't, and edited ones are unless their test rejects them; the others stay as the
    run left them. The test split is opened once more for each set of rules that wasn't scored before.
    Commands are obeyed as in `execute`.

    Raises:
        RunLockedError: another process works on this run.
        JournalError: the run isn't finished, or nothing was decided.
    """
    with journal.lock_run(plan.run):
        _refuse_unfinished(journal, plan.run)
        events, history = RunEvents(journal, plan.run, on_event), RunHistory.of(plan, journal)
        with (
            run_context(plan, journal, events, history, after_command) as context,
            closing(_session(context)) as session,
        ):
            return _reviewed(context, session)


def try_edit(
    plan: RunPlan, journal: Journal, rule_id: str, decision: Decision, *, after_command: int | None = None
) -> Tested:
    """Test a person's edit of a finished run's rule on validation examples; nothing is decided by it.

    The result is compared as it stands with the edit in place of the rule; applying the edit later asks for
    no answer again that this test has paid for. Commands are obeyed as in `execute`.

    Raises:
        RunLockedError: another process works on this run.
        JournalError: the run isn't finished, or has no such rule.
    """
    with journal.lock_run(plan.run):
        _refuse_unfinished(journal, plan.run)
        events, history = RunEvents(journal, plan.run, None), RunHistory.of(plan, journal)
        with (
            run_context(plan, journal, events, history, after_command) as context,
            closing(_session(context)) as session,
        ):
            context.refuse_other_models()
            change = edit_change(journal, plan.run, rule_id, decision)
            phase = PhaseStarted(
                id=f"{change.test_id}/trial", phase="validation", epoch=change.place.epoch, detail=EDIT_TRIAL
            )
            events.emit(phase)
            return session.tester.test(change)


def _refuse_unfinished(journal: Journal, run: str) -> None:
    if _finished(journal, run) is None:
        raise JournalError(f"The run {run} isn't finished.", hint=f"Finish it first: promptgrad resume {run}")


def _finished(journal: Journal, run: str) -> RunSummary | None:
    done = [event.summary for event in journal.events_of(run, RunFinished) if event.summary.is_done]
    return done[-1] if done else None


def _worked_through(context: RunContext, work: Callable[[RunContext], RunSummary]) -> RunSummary:
    """Return the run's summary, even if a person or its budget ended it."""
    try:
        with placing_errors(context.plan.examples):
            return work(context)
    except RunStoppedError as error:
        return _summary(context, "stopped", error.message)
    except BudgetExhaustedError as error:
        return _summary(context, "budget", str(error))
    except PromptGradError as error:
        _finish(context, _summary(context, "error", str(error)))
        raise


def _learned(context: RunContext) -> RunSummary:
    context.refuse_other_models()
    refuse_small_budget(context.plan)
    context.replay.max_calls = context.plan.max_calls  # of a review, which asks for more, it isn't
    with closing(_session(context)) as session:
        objectives_margin(context.plan.objectives, len(session.validation))
        report_changed_labels(context.plan, context.journal, session, context.events.emit)
        if context.plan.models.search is not None:
            prove_search_agrees(context.plan, session, context.events.emit)
        prover = Prover(context.plan, context.journal, session, context.events.emit)
        reserve = Reserve(lambda: prover.calls, context.replay, context.control, context.plan.max_calls)
        context.events.subscribe(reserve.update)
        result = session.run()
        if not result.exhausted:
            result = slimmed(session, result, context.plan.objectives, context.events.emit)
        kept = reserve.release()
        if result.exhausted:
            return _closed_early(context, prover, result, session, kept)
        return _closed(context, prover, result, session)


def _reviewed(context: RunContext, session: OptimizationSession) -> ReviewApplied:
    context.refuse_other_models()
    prover = Prover(context.plan, context.journal, session, context.events.emit)
    state, number = reviewed_state(context.journal, context.plan.run, session.tester, session.emit)
    validation = session.validate(state)
    proof = prover.prove(state, session.validate(LearnedState()), validation, place=f"review/{number}/test")
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
    context.events.emit(applied)
    return applied


def _session(context: RunContext) -> OptimizationSession:
    plan, replay, emit = context.plan, context.replay, context.events.emit
    refuse_own_models(plan.program)
    optimizer = PromptGradOptimizer(
        plan.metric, plan.config, example_formatter=plan.formatter, rule_acceptor=plan.rule_acceptor
    )
    base = made_base(plan, replay, emit)
    return OptimizationSession(
        optimizer,
        base.program,
        SessionExamples(
            _values(plan.train),
            _values(plan.validation) or None,
            test_size=len(plan.test),
            slice_field=plan.slice_field,
        ),
        _session_models(context),
        SessionFollowers(
            emit,
            live=LiveText(live_file(context.journal.path, plan.run)),
            decisions=_decisions(context) if plan.review == "during" else None,
        ),
        calls_before=base.calls,
    )


def _session_models(context: RunContext) -> SessionModels:
    plan, replay = context.plan, context.replay
    count = ScoringCount(scorings_file(context.journal.path, plan.run))
    return SessionModels(
        replay.lm(plan.models.task),
        search=replay.lm(plan.models.search) if plan.models.search else None,
        reflection=replay.lm(plan.models.reflection),
        scorer=recorded_scorer(replay, plan.models.searching, count.add),
        room=context.leaves_room,
    )


def _decisions(context: RunContext) -> Decisions:
    return Decisions(lambda key: context.journal.decision(context.plan.run, key), context.control.checkpoint)


def _closed(
    context: RunContext, prover: Prover, result: Optimized, session: OptimizationSession
) -> RunSummary:
    """Open the test split, decide, save the artifact if the learned state has earned it; doubt labels."""
    assert result.baseline is not None
    proof = prover.prove(result.state, result.baseline, result.best)
    status, reason = _outcome(result, proof.report)
    path = _saved(prover, result, proof)
    report_doubted_labels(context.plan, context.journal, session, result.state, context.events.emit)
    return _summary(context, status, reason, result, proof, path)


def _closed_early(
    context: RunContext, prover: Prover, result: Optimized, session: OptimizationSession, kept: str
) -> RunSummary:
    """Prove what was learned within the budget, and doubt labels; without rules the test split stays sealed.

    The places differ from those of the run's own end, which a resume with a larger budget reaches.
    """
    spent = result.reason.rstrip(".")
    if result.baseline is None:
        return _summary(context, "budget", f"{spent} before even the baseline was known. {kept}")
    validated = Proof(SplitScores(validation=result.baseline), SplitScores(validation=result.best))
    if not result.state:
        reason = f"{spent}. {kept} No rules had been proved, so the test split stays sealed."
        return _summary(context, "budget", reason, result, validated)
    place = f"budget/{result.state.digest[:12]}"
    try:
        proof = prover.prove(result.state, result.baseline, result.best, place=place)
    except BudgetExhaustedError:
        reason = f"{spent}. {kept} That was too little for it, so no artifact was saved."
        return _summary(context, "budget", reason, result, validated)
    path = _saved(prover, result, proof, place=f"{place}/artifact")
    report_doubted_labels(
        context.plan, context.journal, session, result.state, context.events.emit, place=f"{place}/labels"
    )
    lost = "" if path else " The rules gained nothing on the test split, so no artifact was saved."
    return _summary(context, "budget", f"{spent}. {kept}{lost}", result, proof, path)


def _saved(prover: Prover, result: Optimized, proof: Proof, *, place: str = "artifact") -> str | None:
    return prover.save(result.state, proof, place=place) if result.state and proof.has_gain else None


def _summary(
    context: RunContext,
    status: Status,
    reason: str,
    result: Optimized | None = None,
    proof: Proof | None = None,
    path: str | None = None,
) -> RunSummary:
    usage = context.replay.usage()
    proof = proof or Proof()
    return RunSummary(
        run=context.plan.run,
        status=status,
        reason=reason,
        model=ModelUsed.of(context.plan.models.task),
        baseline=proof.baseline,
        optimized=proof.optimized,
        rules=tuple(map(KeptRule.of, result.state.rules)) if result else (),
        demonstrations=result.state.demonstrations.demonstrations if result else (),
        layers=result.layers if result else None,
        base=context.journal.event_of(context.plan.run, BaseCompared),
        objectives=context.journal.event_of(context.plan.run, ObjectivesMet),
        calls=usage.calls,
        tokens=usage.tokens,
        seconds=context.seconds,
        artifact=path if proof.passed else None,
        metric=context.plan.metric_name,
        metrics=proof.measured.metrics,
        validation_metrics=dict(result.metrics) if result else {},
        slices=proof.measured.slices,
        validation_slices=dict(result.slices) if result else {},
        test_opening=proof.opening,
        gates=proof.gates,
        withheld=None if proof.passed else path,
        reflection_moved=proof.reflection_moved,
    )


def _finish(context: RunContext, summary: RunSummary) -> None:
    context.events.emit(RunFinished(id=f"finished/{context.history.attempt}", summary=summary))


def _values(examples: Sequence[LoadedExample]) -> list[dict[str, Any]]:
    return [example.values for example in examples]


def _outcome(result: Optimized, report: GateReport | None) -> tuple[Status, str]:
    assert result.baseline is not None
    assert result.best is not None
    if not result.state:
        return "no_improvement", f"no rules scored better on validation than none; {result.reason}"
    if report is not None and not report.passed:
        gates = "the release gate" if len(report.failed) == 1 else f"{len(report.failed)} release gates"
        return "no_improvement", (
            f"the rules gained {result.best.score - result.baseline.score:+.3f} on validation, "
            f"but failed {gates} on the test split: {report.reason}"
        )
    return "improved", result.reason

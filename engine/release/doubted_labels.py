"""The labels that a run doubts, with their lines; and what became of those that an earlier run doubted."""

from __future__ import annotations

from engine.ground.examples import input_key
from engine.ground.paths import relative_path
from engine.journal.events import Emit, Notice, PhaseStarted, RolloutFinished
from engine.journal.journal import Journal
from engine.journal.learning_events import DoubtedLabel, LabelsDoubted
from engine.learning.optimizer import OptimizationSession
from engine.programs.formatting import as_text
from engine.programs.state import LearnedState
from engine.release.run_plan import RunPlan

_LISTED = 3


def report_doubted_labels(
    plan: RunPlan,
    journal: Journal,
    session: OptimizationSession,
    best: LearnedState,
    emit: Emit,
    *,
    place: str = "labels",
) -> None:
    """Report the labels that the run's answers give reason to doubt, if it doubts or has doubted any."""
    emit(PhaseStarted(id=f"{place}/phase", phase="labels"))
    rollouts = journal.events_of(plan.run, RolloutFinished)
    doubts = session.doubted_labels(rollouts, [example.values for example in plan.test], best)
    examples = {example.key: example for example in plan.examples}
    rows = tuple(
        DoubtedLabel(
            example=doubt.item.key,
            inputs=input_key(doubt.item.values, session.program.inputs or ()),
            split=doubt.item.split,
            file=relative_path(loaded.file, plan.project),
            line=loaded.line,
            field=doubt.field,
            expected=doubt.expected,
            answer=doubt.answer,
            versions=doubt.versions,
            alike=doubt.alike,
            probability=doubt.probability,
        )
        for doubt in doubts
        if (loaded := examples.get(doubt.item.key)) is not None
    )
    if rows or journal.events_of(plan.run, LabelsDoubted):
        emit(LabelsDoubted(id=place, examples=rows))


def report_changed_labels(plan: RunPlan, journal: Journal, session: OptimizationSession, emit: Emit) -> None:
    """Say which labels that the latest earlier run doubted have been corrected or excluded since."""
    for record in reversed(journal.runs()):
        if record.id == plan.run:
            continue
        if doubted := journal.events_of(record.id, LabelsDoubted):
            if text := _changes(doubted[-1], plan, session):
                splits = "Its scores on changed splits can't be compared with those of this run."
                emit(Notice(id="labels changed", text=f"Since run {record.id}, {text}. {splits}"))
            return


def _changes(doubted: LabelsDoubted, plan: RunPlan, session: OptimizationSession) -> str:
    inputs = session.program.inputs or ()
    now = {input_key(example.values, inputs): example for example in plan.examples}
    corrected, excluded = [], []
    for row in doubted.examples:
        example = now.get(row.inputs)
        if example is None:
            excluded.append(f"{row.file}, line {row.line}")
        elif (label := example.values.get(row.field)) != row.expected:
            corrected.append(
                f"{row.file}, line {example.line}: {as_text(row.expected)} is now {as_text(label)}"
            )
    parts = [
        f"{len(found)} of the labels that it doubted {'was' if len(found) == 1 else 'were'} {what} "
        f"({_listed(found)})"
        for found, what in ((corrected, "corrected"), (excluded, "taken out"))
        if found
    ]
    return " and ".join(parts)


def _listed(found: list[str]) -> str:
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return "; ".join(found[:_LISTED]) + more

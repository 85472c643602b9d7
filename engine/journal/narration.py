"""A run's main events, each as one sentence: what logs, the terminal and the screen say of it."""

from __future__ import annotations

from collections import Counter

from engine.ground.figures import count_text, effect_text, gain_text, score_text
from engine.journal.ablation_events import LayersCompared
from engine.journal.contest_events import ContestStarted, LaneFinished
from engine.journal.event_parts import RunSummary
from engine.journal.events import (
    ArtifactSaved,
    BatchScored,
    ConsensusReached,
    EpochFinished,
    Event,
    Notice,
    ReviewApplied,
    ReviewAwaited,
    RulesChanged,
    RunContinued,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    TestFinished,
    ValidationFinished,
)
from engine.journal.learning_events import CandidatesProposed, LabelsDoubted, LayerTested, ScreeningFinished
from engine.journal.method_events import BaseCompared, MethodFinished, MethodStarted
from engine.journal.objective_events import ObjectivesMet

_CHANGES = {
    "merged": "similar rules merged",
    "pruned": "too many rules, pruned",
    "rolled_back": "rolled back to the best state",
    "reviewed": "rules reviewed",
}
EPOCH_OUTCOMES = {
    "improved": "the best so far",
    "no_better": "no better than before",
    "rolled_back": "fell below the baseline",
}
"""What became of an epoch, in words."""
_HEADLINES = {
    "improved": "Improved",
    "no_improvement": "No improvement",
    "budget": "Budget used up",
    "stopped": "Stopped",
    "error": "Ended by an error",
}


def narrate(event: Event, baseline: float | None = None) -> str:  # noqa: C901 - a case for each kind
    """Return a sentence about what happened, or "" for events that only move a progress bar.

    `baseline` is the baseline's validation score, where it is known: an epoch's gain is given over it.
    """
    match event:
        case RunStarted():
            return f"Run {event.run}, seed {event.seed}, on {event.model.uri}"
        case RunResumed():
            return "Resumed: answers that were paid for before are not asked for again."
        case EpochFinished():
            return _epoch(event, baseline)
        case BatchScored():
            return _batch(event)
        case ConsensusReached():
            passes = count_text(event.passes, "analysis", "analyses")
            return f"consensus of {passes}: {proposals_text(event)}"
        case ValidationFinished():
            return f"{event.verdict.replace('_', ' ')}: {change_text(event)} ({finding_text(event)})"
        case RulesChanged(reason="merged" | "pruned" | "rolled_back" | "reviewed"):
            return f"{_CHANGES[event.reason]}: {count_text(len(event.rules), 'rule')} now"
        case CandidatesProposed() | ScreeningFinished() | LayerTested() | LayersCompared():
            return _search(event)
        case MethodStarted() | MethodFinished() | BaseCompared():
            return _method(event)
        case ObjectivesMet():
            return objectives_text(event)
        case ContestStarted() | LaneFinished():
            return _contest(event)
        case LabelsDoubted(examples=()):
            return "No label is doubted any more"
        case LabelsDoubted():
            labels = count_text(len(event.examples), "label")
            return f"{labels} to look at, probably wrong: promptgrad labels"
        case TestFinished():
            scores = f"{score_text(event.baseline)} before, {score_text(event.optimized)} after"
            return f"Test: {scores}, gain {effect_text(event.gain)}"
        case ArtifactSaved():
            return f"{'Saved' if event.passed else 'Withheld because a gate failed:'} {event.path}"
        case ReviewAwaited():
            return f"Waiting for a person to decide on {count_text(len(event.rules), event.noun)}."
        case ReviewApplied():
            return f"Review {event.number}: {count_text(len(event.rules), 'rule')} kept"
        case Notice():
            return event.text
        case RunPaused():
            return f"Paused: {event.reason}"
        case RunContinued():
            return "Continued."
        case RunFinished():
            return f"{headline(event.summary)}: {event.summary.reason}"
        case _:
            return ""


def _search(event: CandidatesProposed | ScreeningFinished | LayerTested | LayersCompared) -> str:
    """Return a sentence about the search for rules and demonstrations besides analyses."""
    match event:
        case CandidatesProposed():
            asked = f" after {count_text(event.questions, 'question')}" if event.questions else ""
            return f"{event.source}: {count_text(len(event.candidates), 'candidate')}{asked}"
        case ScreeningFinished():
            tested = sum(row.is_tested for row in event.rows)
            ranked = count_text(len(event.rows), "candidate")
            return f"{event.layer} screened by {event.signal}: {tested} of {ranked} to be tested"
        case LayerTested():
            change = " ".join(f"{event.action if event.action == 'remove' else ''} {event.title}".split())
            return f"{event.verdict.replace('_', ' ')}: {change} ({finding_text(event)})"
        case LayersCompared():
            alone = {"rules": event.rules_only, "demonstrations": event.demonstrations_only}
            told = [f"{name} alone {score.score:.3f}" for name, score in alone.items() if score is not None]
            return f"Layers: neither {event.base.score:.3f}, {', '.join(told)}, both {event.both.score:.3f}"


def _method(event: MethodStarted | MethodFinished | BaseCompared) -> str:
    """Return a sentence about another optimizer that makes a program."""
    match event:
        case MethodStarted():
            return f"{event.method} begins, with at most {count_text(event.calls, 'call')}"
        case MethodFinished():
            shown = sum(event.demonstrations.values())
            made = f", {count_text(shown, 'demonstration')}" if shown else ""
            return f"{event.method} ended after {count_text(event.calls, 'call')}{made}"
        case BaseCompared():
            scores = f"{score_text(event.own)} before, {score_text(event.made)} after"
            return f"Base by {event.method}, validation: {scores}"


def _contest(event: ContestStarted | LaneFinished) -> str:
    """Return a sentence about a contest of methods, or one of its lanes."""
    if isinstance(event, ContestStarted):
        methods, seeds = count_text(len(event.methods), "method"), count_text(event.seeds, "seed")
        return f"Contest: {methods}, {seeds}, at most {count_text(event.calls, 'call')} for each"
    lane = f"{event.method}, seed {event.number}"
    if event.validation is None:
        return f"{lane}: no result. {event.problem}"
    score = f"{score_text(event.validation)} on {event.validation.n} validation examples"
    return f"{lane}: {score}, {count_text(event.calls, 'call')}"


def objectives_text(event: ObjectivesMet) -> str:
    """Return what was left out of a result so that it costs less, and what that costs in score."""
    before, after = event.before, event.after
    sizes = (
        f"rules {before.rules} to {after.rules}, demonstrations {before.demonstrations} to "
        f"{after.demonstrations}, prompt tokens {before.prompt_tokens:,} to {after.prompt_tokens:,}"
    )
    shown = "no more lost than the margin of" if event.is_shown else "not shown to lose less than"
    missed = f"; not met: {', '.join(event.missed)}" if event.missed else ""
    saved = f"; early ends of tests saved {count_text(event.left_out, 'answer')}" if event.left_out else ""
    return f"Objectives: {sizes}; {effect_text(event.gain)}, {shown} {event.margin:.3f}{missed}{saved}"


def headline(summary: RunSummary) -> str:
    """Return how a run ended, in a word or two."""
    return "Failed its gates" if summary.is_held_back else _HEADLINES[summary.status]


def proposals_text(event: ConsensusReached) -> str:
    """Return what came of the proposals of several passes: 2 proposals kept, 1 dropped."""
    return f"{count_text(len(event.kept), 'proposal')} kept, {len(event.dropped)} dropped"


def change_text(event: ValidationFinished) -> str:
    """Return what was tested: the text of a rule to add, or what is done to another one."""
    text = " ".join(event.rule.text.split())
    return text if event.action == "add" else f"{event.action}: {text}"


def finding_text(event: ValidationFinished | LayerTested) -> str:
    """Return what a test measured, and why its verdict is what it is."""
    evidence = event.evidence
    if evidence is None:
        return event.reason
    return f"{effect_text(evidence)} on {count_text(evidence.n, 'example')}: {event.reason}"


def _batch(event: BatchScored) -> str:
    n, failed = len(event.examples), len(event.failures)
    kinds = ", ".join(
        f"{' '.join(kind.split())} ({many})" for kind, many in Counter(event.error_types).most_common()
    )
    place = f"Epoch {event.epoch}, batch {event.batch}: {n - failed} of {n} right"
    return f"{place}. Wrong: {kinds}" if kinds else place


def _epoch(event: EpochFinished, baseline: float | None) -> str:
    score = f"{score_text(event.validation)} on {event.validation.n} validation examples"
    if event.epoch == 0:
        return f"Baseline: {score}"
    gain = f", {gain_text(event.validation.score - baseline)} on the baseline" if baseline is not None else ""
    outcome = EPOCH_OUTCOMES.get(event.outcome, event.outcome)
    return f"Epoch {event.epoch}: {score}{gain}, {count_text(event.n_rules, 'rule')}; {outcome}"

"""A run's main events, each as one line of text."""

from __future__ import annotations

from engine.ground.interval import Interval
from engine.journal.events import (
    ArtifactSaved,
    BatchScored,
    ConsensusReached,
    EpochFinished,
    Event,
    Notice,
    RulesChanged,
    TestFinished,
    ValidationFinished,
)


def narrate(event: Event) -> str:
    """Return one line that tells what happened, or "" for events that only a screen cares for."""
    match event:
        case EpochFinished(epoch=0):
            return f"baseline: {interval_text(event.validation)} on validation"
        case EpochFinished():
            score = interval_text(event.validation)
            rules, outcome = _count(event.n_rules, "rule"), event.outcome.replace("_", " ")
            return f"epoch {event.epoch}: {score} with {rules}, {outcome}"
        case BatchScored():
            place = f"epoch {event.epoch}, batch {event.batch}"
            return f"{place}: {event.score:.2f}, {_count(len(event.failures), 'failure')}"
        case ConsensusReached():
            agreed = _count(len(event.kept), "proposal")
            return f"{event.passes} analyses agree on {agreed}, {len(event.dropped)} dropped"
        case ValidationFinished():
            return f"{event.verdict}: {event.action} {event.rule.text!r} ({_gain(event)}; {event.reason})"
        case RulesChanged(reason="merged" | "pruned" | "rolled_back"):
            return f"rules {event.reason.replace('_', ' ')}: {len(event.rules)} left"
        case TestFinished():
            return f"test: {interval_text(event.baseline)} before, {interval_text(event.optimized)} after"
        case ArtifactSaved():
            return f"saved {event.path}"
        case Notice():
            return event.text
        case _:
            return ""


def interval_text(interval: Interval) -> str:
    """Return a score with its interval and the number of examples."""
    return f"{interval.score:.3f} [{interval.low:.3f}, {interval.high:.3f}] (n = {interval.n})"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _gain(event: ValidationFinished) -> str:
    evidence = event.evidence
    if evidence is None:
        return "not tested"
    return f"{evidence.delta:+.3f} [{evidence.low:+.3f}, {evidence.high:+.3f}], n = {evidence.n}"

"""A run's story, gathered from its events alone: also that of a run which never ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.journal.events import (
    AnalysisFinished,
    ArtifactSaved,
    BatchScored,
    ConsensusReached,
    EpochFinished,
    Event,
    Notice,
    ReviewApplied,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    RunResumed,
    RunStarted,
    RunSummary,
    TestFinished,
    Tokens,
    ValidationFinished,
)
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule, RuleSet, render_instructions


@dataclass
class BatchStory:
    """What one batch led to."""

    epoch: int
    batch: int
    scored: BatchScored | None = None
    analyses: list[AnalysisFinished] = field(default_factory=list)
    consensus: ConsensusReached | None = None
    validations: list[ValidationFinished] = field(default_factory=list)
    changes: list[RulesChanged] = field(default_factory=list)


@dataclass
class RunStory:
    """All that a run's events tell; fields are empty for what hasn't happened yet."""

    started: RunStarted | None = None
    epochs: list[EpochFinished] = field(default_factory=list)
    batches: dict[tuple[int, int], BatchStory] = field(default_factory=dict)
    test: TestFinished | None = None
    artifact: str | None = None
    notices: list[Notice] = field(default_factory=list)
    summary: RunSummary | None = None
    review: ReviewApplied | None = None
    calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    _rules: dict[str, tuple[Rule, ...]] = field(default_factory=lambda: {RuleSet().digest: ()})
    _current: tuple[Rule, ...] = ()
    _demonstrations: dict[str, tuple[Demonstration, ...]] = field(default_factory=dict)
    _shown: tuple[Demonstration, ...] = ()

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunStory:
        """Return the story that the events tell."""
        story = cls()
        for event in events:
            story.apply(event)
        return story

    def apply(self, event: Event) -> None:
        """Add one event to the story."""
        match event:
            case RunStarted():
                self.started = event
            case RunResumed():
                self.summary = None
            case EpochFinished():
                self.epochs.append(event)
            case BatchScored():
                self._batch(event).scored = event
            case AnalysisFinished():
                self._batch(event).analyses.append(event)
                self.calls += len(event.completions)
            case ConsensusReached():
                self._batch(event).consensus = event
            case ValidationFinished():
                self._batch(event).validations.append(event)
            case RulesChanged():
                self._batch(event).changes.append(event)
                self._rules[event.digest] = self._current = event.rules
                self._demonstrations[event.digest] = self._shown = event.demonstrations
            case RolloutFinished():
                self.calls += len(event.completions)
                self.tokens += event.tokens
            case _:
                self._apply_rest(event)

    def _apply_rest(self, event: Event) -> None:
        match event:
            case TestFinished() if not self._is_done:
                self.test = event
            case ArtifactSaved():
                self.artifact = event.path
            case Notice():
                self.notices.append(event)
            case RunFinished():
                self.summary = event.summary
            case ReviewApplied():
                self.review = event
            case _:
                pass

    @property
    def _is_done(self) -> bool:
        # What is tested after the end of a run belongs to a review, which tells its own scores.
        return self.summary is not None and self.summary.is_done

    def _batch(
        self, event: BatchScored | AnalysisFinished | ConsensusReached | ValidationFinished | RulesChanged
    ) -> BatchStory:
        place = (event.epoch, event.batch)
        return self.batches.setdefault(place, BatchStory(*place))

    @property
    def best_epoch(self) -> EpochFinished | None:
        """The epoch whose state scored best on the validation split; 0 is the baseline."""
        return max(self.epochs, key=lambda epoch: (epoch.validation.score, -epoch.epoch), default=None)

    @property
    def best_rules(self) -> tuple[Rule, ...]:
        """The rules of the best state so far; at the end, those that the run came to."""
        if self.summary is not None and self.summary.rules:
            known = {rule.id: rule for rules in self._rules.values() for rule in rules}
            return tuple(known.get(kept.id, kept.rule) for kept in self.summary.rules)
        best = self.best_epoch
        return self._rules.get(best.rules, ()) if best else ()

    @property
    def best_demonstrations(self) -> tuple[Demonstration, ...]:
        """The demonstrations of the best state so far; at the end, those that the run came to."""
        if self.summary is not None and (self.summary.rules or self.summary.demonstrations):
            return self.summary.demonstrations
        best = self.best_epoch
        return self._demonstrations.get(best.rules, ()) if best else ()

    @property
    def current_demonstrations(self) -> tuple[Demonstration, ...]:
        """The demonstrations as they stand now."""
        return self._shown

    @property
    def current_rules(self) -> tuple[Rule, ...]:
        """The rules as they stand now."""
        return self._current

    def prompts(self) -> dict[str, tuple[str, str]]:
        """Return each predictor's instructions: the frozen base, and with the best state's rules."""
        if self.started is None:
            return {}
        return {
            name: (base, render_instructions(base, RuleSet(self.best_rules).for_predictor(name)))
            for name, base in self.started.base_instructions.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the story as JSON-ready data."""
        return {
            "started": _dumped(self.started),
            "epochs": [_dumped(epoch) for epoch in self.epochs],
            "batches": [
                {
                    "epoch": batch.epoch,
                    "batch": batch.batch,
                    "scored": _dumped(batch.scored),
                    "analyses": [_dumped(analysis) for analysis in batch.analyses],
                    "consensus": _dumped(batch.consensus),
                    "validations": [_dumped(validation) for validation in batch.validations],
                    "changes": [_dumped(change) for change in batch.changes],
                }
                for batch in self.batches.values()
            ],
            "test": _dumped(self.test),
            "review": _dumped(self.review),
            "notices": [notice.text for notice in self.notices],
            "prompts": {
                name: {"base": base, "optimized": optimized}
                for name, (base, optimized) in self.prompts().items()
            },
        }


def _dumped(event: Event | None) -> dict[str, Any] | None:
    return event.model_dump(mode="json") if event is not None else None

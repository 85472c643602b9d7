"""The paired test of a set: rules that belong together, or demonstrations, against the state without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from engine.ground.examples import Item
from engine.ground.figures import effect_text
from engine.ground.interval import Evidence, Interval
from engine.ground.seeds import generator
from engine.ground.statistics import paired_interval
from engine.journal.events import Emit
from engine.journal.learning_events import Layer, LayerAction, LayerTested, LayerTestStarted, Verdict
from engine.learning.paired_test import Outcome, PairedTest, judged_gain
from engine.learning.place import Place
from engine.learning.rollouts import RolloutRunner
from engine.learning.screening.likelihood import Likelihood
from engine.learning.subsets import SampledStratum, ValidationDesign
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

_MOST_EXAMPLES = 120
"""Validation examples in the test of a set."""

_ERRORS_IN_INTERVAL = 4
"""Standard errors from one end of a 95 % interval to the other."""


@dataclass(frozen=True)
class LayerChange:
    """A change of one layer by several of its parts at once."""

    layer: Layer
    action: LayerAction
    source: str
    title: str
    before: LearnedState
    after: LearnedState
    place: Place

    @property
    def test_id(self) -> str:
        """What the ids of the test's events begin with; it is unique in a run."""
        states = f"{self.before.digest}/{self.after.digest}"
        return f"{self.place}/layer/{self.layer}/{self.action}/{states}"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that only one side has."""
        return tuple(
            [rule for rule in self.after.rules if rule not in self.before.rules]
            + [rule for rule in self.before.rules if rule not in self.after.rules]
        )

    @property
    def demonstrations(self) -> tuple[Demonstration, ...]:
        """The demonstrations that only one side has."""
        before = {shown.id for shown in self.before.demonstrations}
        after = {shown.id for shown in self.after.demonstrations}
        both = [*self.after.demonstrations, *self.before.demonstrations]
        return tuple(shown for shown in both if shown.id in before ^ after)

    @property
    def event_fields(self) -> dict[str, Any]:
        """What both events of the test say of the change."""
        return {
            "epoch": self.place.epoch,
            "batch": self.place.batch,
            "layer": self.layer,
            "action": self.action,
            "source": self.source,
            "title": self.title,
            "before": self.before.digest,
            "after": self.after.digest,
            "rules": self.rules,
            "demonstrations": self.demonstrations,
        }


@dataclass(frozen=True)
class LayerResult:
    """A change of a layer with the result of its test."""

    change: LayerChange
    verdict: Verdict
    reason: str
    evidence: Evidence

    @property
    def is_accepted(self) -> bool:
        """Whether the change is kept."""
        return self.verdict == "accepted"

    @property
    def state(self) -> LearnedState:
        """The state after the change; what is new in it carries the evidence of its set."""
        if self.change.action == "remove":
            return self.change.after
        after, new_rules = self.change.after, {rule.id for rule in self.change.rules}
        new_shown = {shown.id for shown in self.change.demonstrations}
        evidence = {"evidence": self.evidence}
        return LearnedState(
            RuleSet(r.model_copy(update=evidence) if r.id in new_rules else r for r in after.rules),
            DemonstrationSet(
                d.model_copy(update=evidence) if d.id in new_shown else d for d in after.demonstrations
            ),
        )


class LayerTester:
    """Tests changes of a layer on the validation examples, or on a random sample where they are many.

    A set affects all examples, so the sample has no strata; the answers of the state before are known from
    the last validation and cost nothing. An addition must pass the test of a rule (`rule_validation_mode`);
    a removal must not cost anything. With a `likelihood`, right answers must become likelier instead where
    the score can't tell.
    """

    def __init__(
        self,
        runner: RolloutRunner,
        validation: Sequence[Item],
        config: PromptGradConfig,
        *,
        seed: int,
        emit: Emit,
        likelihood: Likelihood | None = None,
    ) -> None:
        most = max(_MOST_EXAMPLES, config.rule_validation_examples)
        rng = generator(seed, "layer tests")
        self._items = list(validation) if len(validation) <= most else rng.sample(list(validation), most)
        self._design = ValidationDesign((SampledStratum(1.0, tuple(range(len(self._items)))),))
        self._paired = PairedTest(runner, self._items, stops_early=config.futility_stopping, seed=seed)
        self._config = config
        self._emit = emit
        self._likelihood = likelihood

    def test(self, change: LayerChange) -> LayerResult:
        """Return the verdict on a change, with its evidence."""
        self._emit(
            LayerTestStarted(
                id=f"{change.test_id}/started", n=len(self._design.indexes), **change.event_fields
            )
        )
        outcome = self._paired.run(
            change.before,
            change.after,
            self._design,
            lambda evidence: self._judge(change, evidence),
            epoch=change.place.epoch,
        )
        outcome = self._graded(change, outcome)
        verdict, reason, evidence = outcome.verdict, outcome.reason, outcome.evidence
        self._emit(
            LayerTested(
                id=f"{change.test_id}/finished",
                verdict=verdict,
                reason=reason,
                fixed=evidence.fixed,
                broken=evidence.broken,
                evidence=evidence,
                **change.event_fields,
            )
        )
        return LayerResult(change, verdict, reason, evidence)

    def _judge(self, change: LayerChange, evidence: Evidence) -> tuple[Verdict, str]:
        if change.action == "remove":
            if evidence.delta >= 0:
                return "accepted", "the score doesn't fall without it"
            return "rejected", "the score falls without it"
        return judged_gain(evidence, self._config)

    def _graded(self, change: LayerChange, outcome: Outcome) -> Outcome:
        """Let the likelihood of the right answers decide on an addition about which the score can't tell."""
        score = outcome.evidence
        falls = score.delta < -(score.high - score.low) / _ERRORS_IN_INTERVAL
        if self._likelihood is None or change.action != "add" or score.low > 0 or falls:
            return outcome
        gain = self._likelihood_gain(self._likelihood, change)
        evidence = score.model_copy(update={"likelihood": gain})
        figures = effect_text(gain)
        if gain.score >= self._config.rule_validation_min_delta:
            return Outcome(
                evidence, "accepted", f"the score can't tell, but right answers become likelier: {figures}"
            )
        return Outcome(
            evidence, "rejected", f"the score can't tell, and right answers hardly become likelier: {figures}"
        )

    def _likelihood_gain(self, likelihood: Likelihood, change: LayerChange) -> Interval:
        """Return by how much a change raises the mean probability of the right answers, -1..1."""
        before, after = (likelihood.of(state, self._items) for state in (change.before, change.after))
        deltas = [exp(new.of_right) - exp(old.of_right) for old, new in zip(before, after, strict=True)]
        mean, low, high = paired_interval(self._design.stratify(dict(enumerate(deltas))))
        return Interval(score=mean, n=len(deltas), low=low, high=high)

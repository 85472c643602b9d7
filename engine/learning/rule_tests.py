"""The paired test that every change of the rules must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.ground.examples import Item
from engine.ground.interval import Evidence
from engine.ground.seeds import generator
from engine.journal.events import Emit, ValidationFinished, ValidationStarted
from engine.journal.learning_events import Verdict
from engine.learning.paired_test import PairedTest, judged_gain
from engine.learning.place import Place
from engine.learning.rollouts import RolloutRunner
from engine.learning.subsets import validation_subset
from engine.programs.rules import Rule
from engine.programs.state import LearnedState
from engine.programs.triggers import FIRES_AT, fires
from engine.project.config import PromptGradConfig

Action = Literal["add", "remove", "merge"]


@dataclass(frozen=True)
class Change:
    """One change of the rules to be tested: `rule` is what is added, removed, or merged into.

    A rule that a person wrote (`is_persons`) is tested on all examples: whoever wrote it wants the figure.
    """

    action: Action
    rule: Rule
    before: LearnedState
    after: LearnedState
    place: Place
    is_persons: bool = False

    @property
    def test_id(self) -> str:
        """What the ids of the test's events begin with; it is unique in a run."""
        return f"{self.place}/{self.action}/{self.rule.id}/{self.before.digest}"

    @property
    def touched(self) -> list[Rule]:
        """The rules that only one side has, including those that a merged rule replaces."""
        return [
            *(rule for rule in self.after.rules if rule not in self.before.rules),
            *(rule for rule in self.before.rules if rule not in self.after.rules),
        ]


@dataclass(frozen=True)
class Tested:
    """A change with the result of its test."""

    change: Change
    verdict: Verdict
    reason: str
    evidence: Evidence

    @property
    def rule(self) -> Rule:
        """The rule, carrying its evidence."""
        return self.change.rule.model_copy(update={"evidence": self.evidence})


class RuleTester:
    """Tests changes of the rules on a subset of the validation examples.

    Both sides of a test see the same examples, drawn in strata: those on which the trigger of a rule fires
    that only one side has, and the rest (see `engine.learning.subsets`). Known rollouts cost
    nothing.
    """

    def __init__(
        self,
        runner: RolloutRunner,
        validation: Sequence[Item],
        config: PromptGradConfig,
        *,
        seed: int,
        emit: Emit,
    ) -> None:
        self._paired = PairedTest(runner, validation, stops_early=config.futility_stopping, seed=seed)
        self._validation = validation
        self._config = config
        self._seed = seed
        self._emit = emit
        self._fires_at = config.rule_trigger_min_overlap if config.conditional_rules else FIRES_AT

    def test(self, change: Change) -> Tested:
        """Return the verdict on a change, with its evidence."""
        touched = change.touched
        fired = [
            any(fires(rule, item.inputs, self._fires_at) for rule in touched) for item in self._validation
        ]
        rng = generator(self._seed, "validation", change.place.epoch)
        design = validation_subset(fired, self._config.rule_validation_examples, rng)
        self._emit(
            ValidationStarted(
                id=f"{change.test_id}/started",
                epoch=change.place.epoch,
                batch=change.place.batch,
                action=change.action,
                rule=change.rule,
                n=len(design.indexes),
                before=tuple(rule.id for rule in change.before.rules),
            )
        )
        outcome = self._paired.run(
            change.before,
            change.after,
            design,
            lambda evidence: self._judge(change, evidence),
            epoch=change.place.epoch,
            in_full=change.is_persons,
        )
        self._report(change, outcome.evidence, outcome.verdict, outcome.reason)
        return Tested(change, outcome.verdict, outcome.reason, outcome.evidence)

    def _judge(self, change: Change, evidence: Evidence) -> tuple[Verdict, str]:
        if change.action == "merge":
            if evidence.delta >= 0:
                return "accepted", "the merged rule does no worse"
            return "rejected", "the merged rule does worse"
        if self._config.rule_selection_mode == "greedy" and evidence.delta <= 0:
            return "rejected", "it doesn't raise the score"
        return judged_gain(evidence, self._config)

    def _report(self, change: Change, evidence: Evidence, verdict: Verdict, reason: str) -> None:
        self._emit(
            ValidationFinished(
                id=f"{change.test_id}/finished",
                epoch=change.place.epoch,
                batch=change.place.batch,
                action=change.action,
                rule=change.rule,
                verdict=verdict,
                reason=reason,
                fixed=evidence.fixed,
                broken=evidence.broken,
                evidence=evidence,
            )
        )

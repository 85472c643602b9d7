"""What a report shows of a run: its story, and what changed example by example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from engine.data import LoadedExample, load_examples
from engine.errors import PromptGradError
from engine.events import (
    Event,
    GateResult,
    KeptRule,
    RolloutFinished,
    RunSummary,
    SliceScores,
    Tokens,
    ValidationFinished,
)
from engine.formatting import as_text
from engine.journal import RunRecord
from engine.measurement import slice_name
from engine.power import opening_text
from engine.project import Project, load_project
from engine.rules import Rule, RuleSet, render_instructions, rules_by_predictor
from promptgrad_tui.story import RunStory

Change: TypeAlias = Literal["fixed", "broken", "failing", "same"]

CHANGES: Mapping[Change, str] = {
    "fixed": "wrong before, right now",
    "broken": "right before, wrong now",
    "failing": "wrong before and now",
    "same": "right before and now",
}
"""What may happen to an example, in words."""

_HEADLINES = {
    "improved": "Improved",
    "no_improvement": "No improvement",
    "budget": "The budget is used up",
    "stopped": "Stopped",
    "error": "Ended by an error",
}


@dataclass(frozen=True)
class ExampleChange:
    """One held-out example: its fields, and the program's answers without rules and with them."""

    name: str
    slice: str
    fields: Mapping[str, str]
    before: RolloutFinished
    after: RolloutFinished

    @property
    def change(self) -> Change:
        """What the rules did to it."""
        if self.after.is_success:
            return "same" if self.before.is_success else "fixed"
        return "broken" if self.before.is_success else "failing"


@dataclass(frozen=True)
class RunReport:
    """A run as a report shows it; `examples` maps keys to the examples that the project still has."""

    name: str
    record: RunRecord
    story: RunStory
    rollouts: Sequence[RolloutFinished]
    examples: Mapping[str, LoadedExample]
    slice_field: str | None

    @property
    def summary(self) -> RunSummary | None:
        """What the run came to, if it ended."""
        return self.record.summary or self.story.summary

    @property
    def headline(self) -> str:
        """How it ended, in a word or two."""
        if self.summary is None:
            return "Still running" if self.record.status == "running" else "Interrupted"
        return _HEADLINES[self.summary.status]

    @property
    def reason(self) -> str:
        """Why it ended, as a sentence."""
        if self.summary is None:
            return "The run hasn't ended: what it has found so far."
        return f"{self.summary.reason[:1].upper()}{self.summary.reason[1:]}".rstrip(".") + "."

    @property
    def calls(self) -> int:
        """How many completions were paid for."""
        return self.summary.calls if self.summary else self.story.calls

    @property
    def tokens(self) -> Tokens:
        """Their tokens."""
        return self.summary.tokens if self.summary else self.story.tokens

    @property
    def slices(self) -> Mapping[str, SliceScores]:
        """The test split's scores by slice."""
        return self.story.test.slices if self.story.test else {}

    @property
    def gates(self) -> Sequence[GateResult]:
        """The release gates' verdicts."""
        return self.summary.gates if self.summary else ()

    @property
    def opening(self) -> str:
        """How often the test split was opened and what that means for its score, or nothing."""
        test = self.story.test
        return opening_text(test.opening, test.optimized) if test else ""

    @cached_property
    def rules(self) -> Sequence[KeptRule | Rule]:
        """The rules of the final program, or of the best one so far."""
        return self.summary.rules if self.summary else self.story.best_rules

    @cached_property
    def tests(self) -> Sequence[ValidationFinished]:
        """Every rule's paired test, in order."""
        return [test for batch in self.story.batches.values() for test in batch.validations]

    def test_of(self, rule: KeptRule | Rule) -> ValidationFinished | None:
        """Return the test that accepted a rule, if it was tested."""
        found = [test for test in self.tests if test.rule.id == rule.id and test.verdict != "rejected"]
        return found[-1] if found else None

    @property
    def not_kept(self) -> Sequence[ValidationFinished]:
        """The tests of what is no rule of the final program."""
        kept = {rule.id for rule in self.rules}
        return [test for test in self.tests if test.action != "add" or test.rule.id not in kept]

    @cached_property
    def prompts(self) -> Mapping[str, tuple[str, str]]:
        """Each predictor's instructions: frozen, and with the final rules."""
        base = self.story.started.base_instructions if self.story.started else {}
        own = rules_by_predictor(map(_plain, self.rules), list(base))
        return {name: (text, render_instructions(text, own[name])) for name, text in base.items()}

    @property
    def split(self) -> Literal["validation", "test"]:
        """The held-out split whose examples are compared."""
        return "test" if self.story.test else "validation"

    @cached_property
    def changes(self) -> Sequence[ExampleChange]:
        """What the rules did to each held-out example."""
        final = RuleSet(map(_plain, self.rules)).digest
        seen: dict[str, dict[str, RolloutFinished]] = {}
        for rollout in self.rollouts:
            if rollout.split == self.split and rollout.repeat == 0:
                seen.setdefault(rollout.example, {})[rollout.rules] = rollout
        conditional = bool(self.story.started and self.story.started.config.get("conditional_rules"))
        found = []
        for key, by_rules in seen.items():
            before = by_rules.get(RuleSet().digest)
            after = by_rules.get(final)
            if after is None and conditional and self.split == "test":
                after = list(by_rules.values())[-1]  # with the rules that this input met, if it met any
            if before is not None and after is not None:
                found.append(self._change(key, before, after))
        order = {key: place for place, key in enumerate(self.examples)}
        return sorted(found, key=lambda change: order.get(change.before.example, len(order)))

    def _change(self, key: str, before: RolloutFinished, after: RolloutFinished) -> ExampleChange:
        example = self.examples.get(key)
        values = example.values if example else {}
        return ExampleChange(
            name=example.name if example else key,
            slice=slice_name(values, self.slice_field),
            fields={
                name: as_text(value)
                for name, value in values.items()
                if name not in ("id", self.slice_field) and not name.startswith("_")
            },
            before=before,
            after=after,
        )


def run_report(record: RunRecord, events: Iterable[Event]) -> RunReport:
    """Return the report of a run; the project's examples are read again where they still are."""
    told = list(events)
    root = Path(record.project)
    rollouts = [event for event in told if isinstance(event, RolloutFinished)]
    try:
        project = load_project(root)
    except PromptGradError:
        return RunReport(root.name, record, RunStory.of(told), rollouts, {}, None)
    examples = _examples(project)
    return RunReport(project.name, record, RunStory.of(told), rollouts, examples, project.data.slice)


def answer_text(rollout: RolloutFinished) -> str:
    """Return what the program answered, on one line for each field."""
    if rollout.prediction is None:
        return "unreadable"
    return "\n".join(f"{name}: {as_text(value)}" for name, value in rollout.prediction.items())


def _plain(rule: KeptRule | Rule) -> Rule:
    return Rule(text=rule.text, trigger=rule.trigger, predictor=rule.predictor)


def _examples(project: Project) -> dict[str, LoadedExample]:
    found: dict[str, LoadedExample] = {}
    for name in (project.data.train, project.data.validation, project.data.test):
        if name is None:
            continue
        try:
            examples = load_examples(project.path(name), project.data.id)
        except PromptGradError:
            continue
        found |= {example.key: example for example in examples}
    return found

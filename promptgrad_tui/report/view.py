"""What a report shows about a run: its story, and what changed example by example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.ground.interval import Interval
from engine.journal.contest_events import ContestResult
from engine.journal.events import (
    Event,
    GateResult,
    KeptRule,
    MetricChange,
    RolloutFinished,
    RunSummary,
    SliceScores,
    Tokens,
    ValidationFinished,
)
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.journal.learning_events import LayerTested
from engine.journal.narration import headline
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import RuleSet
from engine.programs.state import LearnedState
from engine.release.objectives.candidates import candidates_of
from engine.release.objectives.front import Placed, front
from engine.release.power import opening_text
from promptgrad_tui.report.figures import reach
from promptgrad_tui.views.comparison.changes import Change, ExampleChange, HeldOut
from promptgrad_tui.views.figures import count_text, value_text
from promptgrad_tui.views.run.early_stops import EarlyStops
from promptgrad_tui.views.run.event_lines import model_text
from promptgrad_tui.views.run.prompts import prompts_of
from promptgrad_tui.views.run.score_lines import layers_of
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.work.compare.changes import example_changes, held_out_answers, is_conditional
from promptgrad_tui.work.measure.project_examples import ProjectExamples


@dataclass(frozen=True)
class RunReport:
    """A run as a report shows it; `examples` are those that the project still has."""

    record: RunRecord
    story: RunStory
    rollouts: Sequence[RolloutFinished]
    examples: ProjectExamples

    @property
    def name(self) -> str:
        """The project's name."""
        return self.examples.project

    @property
    def summary(self) -> RunSummary | None:
        """The result of the run, if it has ended."""
        return self.record.summary or self.story.summary

    @property
    def headline(self) -> str:
        """How it ended, in a word or two."""
        if self.summary is None:
            return "Still running" if self.record.status == "running" else "Interrupted"
        return headline(self.summary)

    @property
    def title(self) -> str:
        """The project and how the run ended."""
        return f"{self.name}: {self.headline[0].lower()}{self.headline[1:]}"

    @property
    def reason(self) -> str:
        """Why it ended, as a sentence."""
        if self.summary is None:
            return "The run hasn't ended; this is what it has found so far."
        return f"{self.summary.reason[:1].upper()}{self.summary.reason[1:]}".rstrip(".") + "."

    @property
    def calls(self) -> int:
        """The number of completions that were paid for."""
        return self.summary.calls if self.summary else self.story.calls

    @property
    def tokens(self) -> Tokens:
        """Their tokens."""
        return self.summary.tokens if self.summary else self.story.tokens

    @property
    def slices(self) -> Mapping[str, Mapping[str, SliceScores]]:
        """Each held-out split's scores by slice, with and without the final rules; empty without slices."""
        splits = {
            "test": self.story.test.slices if self.story.test else {},
            "validation": self.summary.validation_slices if self.summary else {},
        }
        return {split: slices for split, slices in splits.items() if slices}

    @property
    def metrics(self) -> Mapping[str, Mapping[str, MetricChange]]:
        """Each held-out split's figures by metric, what is optimized first, before and after."""
        splits = {
            "test": self.story.test.metrics if self.story.test else {},
            "validation": self.summary.validation_metrics if self.summary else {},
        }
        return {split: metrics for split, metrics in splits.items() if metrics}

    @property
    def gates(self) -> Sequence[GateResult]:
        """The release gates' verdicts."""
        return self.summary.gates if self.summary else ()

    @property
    def acceptance(self) -> str:
        """What a test had to show for its rule to be kept, in a sentence or two, or nothing."""
        if self.story.started is None:
            return ""
        config = self.story.started.config
        if not config["validate_rules"]:
            return "Rules were kept without a test of their own."
        if config["rule_validation_mode"] == "auto":
            return "A rule was kept if the interval of its effect lay above 0."
        return (
            f"A rule was kept if it gained {config['rule_validation_min_delta']:g} or more in its test. "
            "Where the interval includes 0, that test alone can't rule out chance: the held-out splits "
            "judge all rules together."
        )

    @property
    def opening(self) -> str:
        """How many times the test split was opened and what that means for its score, or nothing."""
        test = self.story.test
        return opening_text(test.opening, test.optimized) if test else ""

    @property
    def reviewed(self) -> str:
        """The result of the latest review after the run, as a sentence, or nothing."""
        review = self.story.review
        if review is None:
            return ""
        scores = [("validation", review.validation), ("test", review.test)]
        scored = ", ".join(f"{name} {value_text(score.score)}" for name, score in scores if score is not None)
        saved = f"; saved as {review.artifact}" if review.artifact else ""
        return (
            f"This is the result of the run itself. Review {review.number}, after it, kept "
            f"{count_text(len(review.rules), 'rule')}: {scored}{saved}."
        )

    @property
    def contest(self) -> ContestResult | None:
        """What came of a contest of methods, if the run was one."""
        return self.summary.contest if self.summary else None

    @cached_property
    def placed(self) -> Sequence[Placed]:
        """Every candidate with its score and cost, those on the front first; empty without the journal."""
        path = journal_path(Path(self.record.project))
        if not path.is_file():
            return ()
        with Journal.open(path, read_only=True) as journal:
            return front(candidates_of(journal, self.record.id))

    @property
    def early_stops(self) -> EarlyStops:
        """What tests saved that stopped early."""
        return EarlyStops.of(self.story)

    @property
    def judge(self) -> str:
        """What to know of the judge before trusting the scores, or nothing."""
        return next((notice.text for notice in self.story.notices if notice.id == "judge"), "")

    @cached_property
    def rules(self) -> Sequence[KeptRule]:
        """The rules of the final program, or of the best one so far."""
        if self.summary:
            return self.summary.rules
        return [KeptRule.of(rule) for rule in self.story.best_rules]

    @cached_property
    def tests(self) -> Sequence[ValidationFinished]:
        """Every rule's paired test, in order."""
        return [test for batch in self.story.batches.values() for test in batch.validations]

    @cached_property
    def sets(self) -> Sequence[LayerTested]:
        """The paired test of every set of rules, and of demonstrations, in order."""
        return [test for batch in self.story.batches.values() for test in batch.sets]

    @property
    def demonstrations(self) -> Sequence[Demonstration]:
        """The demonstrations of the final program, or of the best one so far."""
        return self.story.best_demonstrations

    @property
    def layers(self) -> Sequence[tuple[str, Interval]]:
        """The validation score of the base and of each combination of layers, where they were compared."""
        return layers_of(self.story)

    def test_of(self, rule: KeptRule) -> ValidationFinished | LayerTested | None:
        """Return the test that accepted a rule, or the set that it is of, if it was tested."""
        found = [test for test in self.tests if test.rule.id == rule.id and test.verdict != "rejected"]
        sets = [
            test for test in self.sets if test.verdict != "rejected" and rule.id in {r.id for r in test.rules}
        ]
        return found[-1] if found else sets[-1] if sets else None

    @property
    def effect_scale(self) -> float:
        """The common scale of the bars of all tests."""
        alone = [test.evidence for test in self.tests if test.evidence is not None]
        tests = [*alone, *(test.evidence for test in self.sets)]
        return reach([bound for test in tests for bound in (test.low, test.high, test.delta)])

    @property
    def slice_scale(self) -> float:
        """The common scale of the bars of all slices."""
        gains = [scores.gain for slices in self.slices.values() for scores in slices.values()]
        return reach([bound for gain in gains for bound in (gain.low, gain.high)])

    @property
    def not_kept(self) -> Sequence[ValidationFinished]:
        """The tests of what isn't a rule of the final program."""
        kept = {rule.id for rule in self.rules}
        return [test for test in self.tests if test.action != "add" or test.rule.id not in kept]

    @cached_property
    def prompts(self) -> Mapping[str, tuple[str, str]]:
        """Each predictor's instructions: frozen, and with the final rules."""
        return prompts_of(self.story, [rule.rule for rule in self.rules])

    @property
    def split(self) -> HeldOut:
        """The held-out split whose examples are compared."""
        return "test" if self.story.test else "validation"

    @cached_property
    def changes(self) -> Sequence[ExampleChange]:
        """What the rules did to each held-out example."""
        final = LearnedState(
            RuleSet(rule.rule for rule in self.rules), DemonstrationSet(self.story.best_demonstrations)
        )
        picks = is_conditional(self.story.started.config if self.story.started else {}, final)
        before = held_out_answers(self.rollouts, self.split, LearnedState())
        after = held_out_answers(self.rollouts, self.split, final, is_conditional=picks)
        return example_changes(before, after, self.examples)

    @cached_property
    def counts(self) -> Counter[Change]:
        """How many held-out examples were fixed, broken, failing or the same."""
        return Counter(change.change for change in self.changes)

    @property
    def origin(self) -> Sequence[tuple[str, str]]:
        """Everything that the run depends on, by name; and where its artifact is."""
        started, summary = self.story.started, self.summary
        if started is None:
            return ()
        rows = [
            ("Run", self.record.id),
            ("Program", started.program),
            *((("What is optimized", started.metric),) if started.metric else ()),
            ("Model", model_text(started.model)),
            ("Model's revision", started.model.revision),
            ("Model that writes rules", model_text(started.reflection)),
            *((("Model of the search", model_text(started.search)),) if started.search else ()),
            *((("Model that judges", model_text(started.judge)),) if started.judge else ()),
            ("Seed", str(started.seed)),
        ]
        for name, data in started.data.items():
            rows.append((f"Data, {name}", f"{count_text(data.n, 'example')}, {data.digest}"))
        rows += [(f"Version of {name}", value) for name, value in started.versions.items()]
        if summary and summary.artifact:
            rows.append(("Artifact", summary.artifact))
        if summary and summary.withheld:
            rows.append(("Artifact, withheld because a gate failed", summary.withheld))
        return rows


def run_report(record: RunRecord, events: Iterable[Event]) -> RunReport:
    """Return the report of a run; the project's examples are read again where they still are."""
    known = list(events)
    rollouts = [event for event in known if isinstance(event, RolloutFinished)]
    return RunReport(record, RunStory.of(known), rollouts, ProjectExamples.of(Path(record.project)))

"""The parts that events are made of: models, data, scores, gates, and the summary of a run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.ground.model import Embedder, Model
from engine.ground.revision import short_digest
from engine.journal.ablation_events import LayersCompared
from engine.journal.contest_events import ContestResult
from engine.journal.event_base import Tokens
from engine.journal.method_events import BaseCompared
from engine.journal.objective_events import ObjectivesMet
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import ParsedRule, Rule

Status = Literal["improved", "no_improvement", "budget", "stopped", "error"]
ENDED: frozenset[Status] = frozenset({"improved", "no_improvement"})
"""The statuses of a run that did everything it had to do."""

Phase = Literal[
    "base",
    "baseline",
    "lane",
    "rollouts",
    "proposals",
    "demonstrations",
    "screening",  # the name of "demonstrations" in older journals
    "gradients",
    "validation",
    "merging",
    "elimination",
    "epoch",
    "layers",
    "test",
    "artifact",
    "labels",
]


class ModelUsed(FrozenModel):
    """A model of a run: the URI that opened it and the revision that answered.

    `numerics` is what of the machine and of the build its answers depend on; empty where that isn't known.
    """

    uri: str
    revision: str
    verified: bool = True
    template_digest: str | None = None
    numerics: str = ""

    @classmethod
    def of(cls, model: Model | Embedder) -> Self:
        """Return what an opened model is."""
        revision = model.revision
        return cls(
            uri=model.uri,
            revision=revision.digest,
            verified=revision.verified,
            template_digest=revision.template_digest,
            numerics=revision.numerics,
        )

    @property
    def short(self) -> str:
        """The first 12 digits of the revision, for screens."""
        return short_digest(self.revision)

    def is_other_than(self, before: ModelUsed) -> bool:
        """Whether weights or chat template differ; a template that isn't known may be the same."""
        templates = (self.template_digest, before.template_digest)
        return self.revision != before.revision or (None not in templates and templates[0] != templates[1])


class DataUsed(FrozenModel):
    """One split: how many examples, and the hash of their content."""

    n: int
    digest: str


class CarvedTest(FrozenModel):
    """A test split that was taken out of train: the run that first did so, its seed, and the examples.

    `examples` maps the key of each example's inputs to the key of the whole example.
    """

    run: str = ""
    seed: int = 0
    examples: dict[str, str]


class DroppedProposal(FrozenModel):
    """A proposal that was dropped, and why."""

    proposal: ParsedRule
    reason: str


class MetricFigures(FrozenModel):
    """One of several metrics on a split or a slice: its mean score, spread and worst, and the wrong answers.

    `std` is the standard deviation over examples. The figures by class are None where none were asked for.
    """

    score: Interval
    std: float
    min: float
    failures: int
    balanced_accuracy: Interval | None = None
    macro_f1: Interval | None = None


class MetricChange(FrozenModel):
    """One metric before and after, and its paired gain."""

    baseline: MetricFigures
    optimized: MetricFigures
    gain: Interval


class SliceScore(FrozenModel):
    """One slice in one state of the program: its score, and how many of its examples were answered wrong.

    If examples are run several times, one wrong answer makes the example count as wrong.
    """

    score: Interval
    failures: int
    metrics: dict[str, MetricFigures] = Field(default_factory=dict)


class SliceScores(FrozenModel):
    """One slice of a split: its scores, its gain, and how many wrong answers remain.

    `metrics` are each of several; empty where there is one.
    """

    baseline: Interval
    optimized: Interval
    gain: Interval
    failures: int
    metrics: dict[str, MetricChange] = Field(default_factory=dict)


class SplitScores(FrozenModel):
    """A program's scores on the two held-out splits; None for a split that wasn't scored."""

    validation: Interval | None = None
    test: Interval | None = None


class GateResult(FrozenModel):
    """One release gate: what was measured (None if nothing was), the bound, and the verdict.

    `gate` is its name in `promptgrad.toml`, such as "slices.refund".
    """

    gate: str
    value: float | None
    comparison: Literal["at least", "more than", "at most"]
    bound: float
    passed: bool
    detail: str = ""


class KeptRule(FrozenModel):
    """A rule of the final program, with its measured effect."""

    id: str
    text: str
    trigger: str
    predictor: str
    action: Literal["add"] = "add"
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    likelihood: Interval | None = None
    epoch: int
    batch: int
    source: str = ""
    note: str = ""

    @classmethod
    def of(cls, rule: Rule) -> KeptRule:
        """Return a rule with the figures of its evidence."""
        evidence = rule.evidence
        return cls(
            id=rule.id,
            text=rule.text,
            trigger=rule.trigger,
            predictor=rule.predictor,
            delta=evidence.delta if evidence else None,
            low=evidence.low if evidence else None,
            high=evidence.high if evidence else None,
            n=evidence.n if evidence else 0,
            likelihood=evidence.likelihood if evidence else None,
            epoch=rule.epoch,
            batch=rule.batch,
            source=rule.source,
            note=rule.note,
        )

    @property
    def rule(self) -> Rule:
        """The rule itself, without its evidence."""
        return Rule(text=self.text, trigger=self.trigger, predictor=self.predictor)


class RunSummary(FrozenModel):
    """The result of a run; `--json` prints this.

    `metrics`, `slices` and `test_opening` belong to the test split, `validation_metrics` and
    `validation_slices` to the best state on the validation split. `metric` names what is optimized.
    `withheld` is the folder of a program that gained something but failed a gate; `artifact` is None in that
    case. `reflection_moved` says what happened to a separate reflection model, if its name no longer means
    the same weights. `base` is set if another optimizer made the
    base, `contest` if the run was a contest of methods.
    """

    run: str
    status: Status
    reason: str
    model: ModelUsed
    baseline: SplitScores = SplitScores()
    optimized: SplitScores = SplitScores()
    rules: tuple[KeptRule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    layers: LayersCompared | None = None
    base: BaseCompared | None = None
    contest: ContestResult | None = None
    objectives: ObjectivesMet | None = None
    calls: int = 0
    tokens: Tokens = Tokens()
    seconds: float = 0.0
    artifact: str | None = None
    metric: str = ""
    metrics: dict[str, MetricChange] = Field(default_factory=dict)
    validation_metrics: dict[str, MetricChange] = Field(default_factory=dict)
    slices: dict[str, SliceScores] = Field(default_factory=dict)
    validation_slices: dict[str, SliceScores] = Field(default_factory=dict)
    test_opening: int = 0
    gates: tuple[GateResult, ...] = ()
    withheld: str | None = None
    reflection_moved: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the run reached its own end: nothing cut it short, and there is nothing to resume."""
        return self.status in ENDED

    @property
    def is_held_back(self) -> bool:
        """Whether the run reached its end with a better program that a gate keeps from use."""
        return self.status == "no_improvement" and self.withheld is not None

    @property
    def winner(self) -> tuple[str, str] | None:
        """The method in the first place of a contest and its artifact's folder; None if it has none."""
        folder = self.artifact or self.withheld
        if self.contest is None or folder is None:
            return None
        return self.contest.standings[0].method, folder

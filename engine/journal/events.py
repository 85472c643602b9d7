"""What happens in a run, as typed events: the journal's content and all that a screen shows.

Every event has an `id` made of its place in the run, so that a replay writes nothing twice, and a
`time` in Unix seconds. Scores are in 0..1, durations in seconds, token counts in tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, TypeAdapter

from engine.ground.interval import Interval
from engine.ground.model import Model
from engine.journal.event_base import BaseEvent, Part
from engine.journal.event_base import Tokens as Tokens
from engine.journal.learning_events import (
    CandidatesProposed,
    LayersCompared,
    LayerTested,
    LayerTestStarted,
    QuestionAnswered,
    ScreeningFinished,
)
from engine.journal.learning_events import Verdict as Verdict
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Evidence, ParsedRule, Rule

Phase = Literal[
    "baseline",
    "rollouts",
    "proposals",
    "screening",
    "gradients",
    "validation",
    "merging",
    "elimination",
    "epoch",
    "layers",
    "test",
    "artifact",
]
Status = Literal["improved", "no_improvement", "budget", "stopped", "error"]


class ModelUsed(Part):
    """A model of a run: the URI that opened it and the revision that answered."""

    uri: str
    revision: str
    verified: bool = True
    template_digest: str | None = None

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return what an opened model is."""
        revision = model.revision
        return cls(
            uri=model.uri,
            revision=revision.digest,
            verified=revision.verified,
            template_digest=revision.template_digest,
        )

    @property
    def short(self) -> str:
        """The first 12 digits of the revision, for screens."""
        return self.revision.rpartition(":")[2][:12]

    def is_other_than(self, before: ModelUsed) -> bool:
        """Whether weights or chat template differ; a template that isn't known may be the same."""
        templates = (self.template_digest, before.template_digest)
        return self.revision != before.revision or (None not in templates and templates[0] != templates[1])


class DataUsed(Part):
    """One split: how many examples, and the hash of their content."""

    n: int
    digest: str


class CarvedTest(Part):
    """A test split that was taken out of train: which run first did so, by which seed, and its examples.

    `examples` maps the key of each example's inputs to the key of the whole example.
    """

    run: str = ""
    seed: int = 0
    examples: dict[str, str]


class RunStarted(BaseEvent):
    """The run's first event: all that it depends on; `carved_test` where train was split for it."""

    kind: Literal["run_started"] = "run_started"
    run: str
    project: str
    program: str
    model: ModelUsed
    reflection: ModelUsed
    base_instructions: dict[str, str]
    config: dict[str, Any]
    seed: int
    data: dict[str, DataUsed]
    versions: dict[str, str] = Field(default_factory=dict)
    carved_test: CarvedTest | None = None


class RunResumed(BaseEvent):
    """A process took up a run that an earlier one had left."""

    kind: Literal["run_resumed"] = "run_resumed"
    attempt: int


class PhaseStarted(BaseEvent):
    """The run turns to something else; `rollouts` is how many program runs it asks for at most."""

    kind: Literal["phase_started"] = "phase_started"
    phase: Phase
    epoch: int = 0
    batch: int = 0
    rollouts: int = 0
    detail: str = ""


class ProgressEstimated(BaseEvent):
    """How much of the run is done: rollouts finished and expected, by the plan as it stands now."""

    kind: Literal["progress"] = "progress"
    done: int
    expected: int


class RolloutFinished(BaseEvent):
    """The program answered one example, and the answer was scored."""

    kind: Literal["rollout"] = "rollout"
    example: str
    split: Literal["train", "validation", "test"]
    rules: str
    repeat: int = 0
    score: float
    is_success: bool
    feedback: str = ""
    error_type: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    prediction: dict[str, Any] | None = None
    completions: tuple[str, ...] = ()
    tokens: Tokens = Tokens()
    seconds: float = 0.0


class BatchScored(BaseEvent):
    """A batch was rolled out with the rules as they stood."""

    kind: Literal["batch"] = "batch"
    epoch: int
    batch: int
    examples: tuple[str, ...]
    failures: tuple[str, ...]
    rules: str
    score: float
    error_types: dict[str, int]


class AnalysisFinished(BaseEvent):
    """One analysis pass over a batch's failures came back."""

    kind: Literal["analysis"] = "analysis"
    epoch: int
    batch: int
    number: int
    temperature: float
    analysis: str
    proposals: tuple[ParsedRule, ...] = ()
    problem: str = ""
    completions: tuple[str, ...] = ()


class DroppedProposal(Part):
    """A proposal that goes no further, and why."""

    proposal: ParsedRule
    reason: str


class ConsensusReached(BaseEvent):
    """What the passes of one batch agree on."""

    kind: Literal["consensus"] = "consensus"
    epoch: int
    batch: int
    passes: int
    kept: tuple[ParsedRule, ...]
    dropped: tuple[DroppedProposal, ...] = ()


class ValidationStarted(BaseEvent):
    """A rule's paired test begins; `before` are the ids of the rules that the program has without the change.

    Journals of earlier versions don't say `before`.
    """

    kind: Literal["validation_started"] = "validation_started"
    epoch: int
    batch: int
    action: Literal["add", "remove", "merge"]
    rule: Rule
    n: int
    before: tuple[str, ...] | None = None


class ValidationFinished(BaseEvent):
    """A rule's paired test is over; the rule carries the evidence."""

    kind: Literal["validation"] = "validation"
    epoch: int
    batch: int
    action: Literal["add", "remove", "merge"]
    rule: Rule
    verdict: Verdict
    reason: str
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    evidence: Evidence | None = None


class RulesChanged(BaseEvent):
    """The program has another learned state from here on: other rules, or other demonstrations.

    `digest` is the whole state's. It is "demonstrated" where demonstrations came in, "thinned" where
    elimination took something out.
    """

    kind: Literal["rules"] = "rules"
    epoch: int
    batch: int
    reason: Literal[
        "accepted", "removed", "merged", "pruned", "rolled_back", "reviewed", "demonstrated", "thinned"
    ]
    digest: str
    rules: tuple[Rule, ...]
    demonstrations: tuple[Demonstration, ...] = ()


class ReviewAwaited(BaseEvent):
    """The run waits for a person's decisions on these rules, by id."""

    kind: Literal["review_awaited"] = "review_awaited"
    epoch: int
    batch: int
    rules: tuple[str, ...]


class ReviewApplied(BaseEvent):
    """A person's decisions after the run made another rule set, scored anew and saved as another version."""

    kind: Literal["review_applied"] = "review_applied"
    number: int
    rules: tuple[Rule, ...]
    demonstrations: tuple[Demonstration, ...] = ()
    validation: Interval
    test: Interval | None = None
    gain: Interval | None = None
    artifact: str | None = None


class SliceScore(Part):
    """One slice in one state of the program: its score, and how many of its examples were answered wrong.

    Where examples are repeated, one that was answered wrong once counts as wrong.
    """

    score: Interval
    failures: int


class EpochFinished(BaseEvent):
    """An epoch's state was scored on the whole validation split. Epoch 0 is the baseline.

    `slices` are told by the value of the slice field; empty without one.
    """

    kind: Literal["epoch"] = "epoch"
    epoch: int
    validation: Interval
    rules: str
    n_rules: int
    n_demonstrations: int = 0
    best: float
    outcome: Literal["baseline", "improved", "no_better", "rolled_back"]
    slices: dict[str, SliceScore] = Field(default_factory=dict)


class SliceScores(Part):
    """One slice of a split: its scores, the gain in it, and the wrong answers that are left."""

    baseline: Interval
    optimized: Interval
    gain: Interval
    failures: int


class TestOpened(BaseEvent):
    """The sealed test split was opened: for which program on which model, and how many times so far.

    `fingerprint` is what a transfer's measurement depends on (see `engine.project.fingerprint`). A release's
    is in its artifact.
    """

    __test__ = False

    kind: Literal["test_opened"] = "test_opened"
    data: DataUsed
    opening: int
    purpose: Literal["release", "transfer"]
    program: str
    rules: str
    model: ModelUsed
    fingerprint: dict[str, str] = Field(default_factory=dict)


class TestFinished(BaseEvent):
    """The sealed test split was scored, once for the baseline and once for the best state.

    `slices` are told by the value of the slice field; `opening` counts how often this split was opened.
    """

    __test__ = False

    kind: Literal["test"] = "test"
    baseline: Interval
    optimized: Interval
    gain: Interval
    slices: dict[str, SliceScores] = Field(default_factory=dict)
    opening: int = 1


class GateResult(Part):
    """One gate of a release: what was measured (None if nothing was), the bound, and the verdict.

    `gate` is called as in `promptgrad.toml`, as in "slices.refund".
    """

    gate: str
    value: float | None
    comparison: Literal["at least", "more than", "at most"]
    bound: float
    passed: bool
    detail: str = ""


class ArtifactSaved(BaseEvent):
    """The optimized program was saved for the model revision it was proved on.

    One that `passed` not all of its gates is kept for a person to look at, and is no result.
    """

    kind: Literal["artifact"] = "artifact"
    path: str
    passed: bool = True


class Notice(BaseEvent):
    """Something a person should know: a wait, an ignored answer, a limit."""

    kind: Literal["notice"] = "notice"
    level: Literal["info", "warning"] = "info"
    text: str


class RunPaused(BaseEvent):
    """The run waits: a person paused it, or a decision is missing."""

    kind: Literal["paused"] = "paused"
    reason: str


class RunContinued(BaseEvent):
    """The run goes on after a pause."""

    kind: Literal["continued"] = "continued"


class SplitScores(Part):
    """A program's scores on the two held-out splits; None where a split wasn't scored."""

    validation: Interval | None = None
    test: Interval | None = None


class KeptRule(Part):
    """A rule of the final program, with its effect as it was measured."""

    id: str
    text: str
    trigger: str
    predictor: str
    action: Literal["add"] = "add"
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    epoch: int
    batch: int
    source: str = ""
    note: str = ""

    @classmethod
    def of(cls, rule: Rule) -> KeptRule:
        """Return a rule with what its evidence says."""
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
            epoch=rule.epoch,
            batch=rule.batch,
            source=rule.source,
            note=rule.note,
        )

    @property
    def rule(self) -> Rule:
        """What it says and to whom, without its evidence."""
        return Rule(text=self.text, trigger=self.trigger, predictor=self.predictor)


class RunSummary(Part):
    """What a run came to; `--json` prints this.

    `slices` and `test_opening` are those of the test split, `validation_slices` those of the best state on
    the validation split. `withheld` is where a program lies that gained something and failed a gate;
    `artifact` is None then. `reflection_moved` says what became of another model that wrote the rules, if it
    isn't what it was.
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
    calls: int = 0
    tokens: Tokens = Tokens()
    seconds: float = 0.0
    artifact: str | None = None
    slices: dict[str, SliceScores] = Field(default_factory=dict)
    validation_slices: dict[str, SliceScores] = Field(default_factory=dict)
    test_opening: int = 0
    gates: tuple[GateResult, ...] = ()
    withheld: str | None = None
    reflection_moved: str = ""

    @property
    def is_held_back(self) -> bool:
        """Whether a run that came to its end had found something, and a gate keeps it from use."""
        return self.status == "no_improvement" and self.withheld is not None


class RunFinished(BaseEvent):
    """The run's last event."""

    kind: Literal["run_finished"] = "run_finished"
    summary: RunSummary


Event = Annotated[
    RunStarted
    | RunResumed
    | PhaseStarted
    | ProgressEstimated
    | RolloutFinished
    | BatchScored
    | AnalysisFinished
    | ConsensusReached
    | QuestionAnswered
    | CandidatesProposed
    | ScreeningFinished
    | LayerTestStarted
    | LayerTested
    | LayersCompared
    | ValidationStarted
    | ValidationFinished
    | RulesChanged
    | ReviewAwaited
    | ReviewApplied
    | EpochFinished
    | TestOpened
    | TestFinished
    | ArtifactSaved
    | Notice
    | RunPaused
    | RunContinued
    | RunFinished,
    Field(discriminator="kind"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)

Emit: TypeAlias = Callable[[Event], None]
"""Where a part of the engine reports what happens."""

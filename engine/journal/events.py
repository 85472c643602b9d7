"""What happens in a run, as typed events: the journal's content, and the source of all that a screen shows.

Every event has an `id` made from its place in the run, so that a replay writes nothing twice, and a
`time` in Unix seconds. Scores are in 0..1, durations in seconds, token counts in tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from engine.ground.interval import Evidence, Interval
from engine.ground.score import MetricScore
from engine.journal.ablation_events import LayersCompared
from engine.journal.contest_events import ContestStarted, LaneFinished
from engine.journal.event_base import BaseEvent
from engine.journal.event_base import Tokens as Tokens
from engine.journal.event_parts import ENDED as ENDED
from engine.journal.event_parts import CarvedTest as CarvedTest
from engine.journal.event_parts import DataUsed as DataUsed
from engine.journal.event_parts import DroppedProposal as DroppedProposal
from engine.journal.event_parts import GateResult as GateResult
from engine.journal.event_parts import KeptRule as KeptRule
from engine.journal.event_parts import MetricChange as MetricChange
from engine.journal.event_parts import MetricFigures as MetricFigures
from engine.journal.event_parts import ModelUsed as ModelUsed
from engine.journal.event_parts import Phase as Phase
from engine.journal.event_parts import RunSummary as RunSummary
from engine.journal.event_parts import SliceScore as SliceScore
from engine.journal.event_parts import SliceScores as SliceScores
from engine.journal.event_parts import SplitScores as SplitScores
from engine.journal.event_parts import Status as Status
from engine.journal.learning_events import (
    CandidatesProposed,
    LabelsDoubted,
    LayerTested,
    LayerTestStarted,
    QuestionAnswered,
    ScreeningFinished,
)
from engine.journal.learning_events import Verdict as Verdict
from engine.journal.method_events import BaseCompared, MethodFinished, MethodStarted
from engine.journal.objective_events import ObjectivesMet
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import ParsedRule, Rule


class RunStarted(BaseEvent):
    """The run's first event: everything it depends on; `carved_test` is set if train was split for it.

    `metric` names what is optimized, as in "0.7 policy + 0.3 length".
    """

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
    judge: ModelUsed | None = None
    embedder: ModelUsed | None = None
    metric: str = ""
    search: ModelUsed | None = None


class RunResumed(BaseEvent):
    """A process resumed a run that an earlier process had left."""

    kind: Literal["run_resumed"] = "run_resumed"
    attempt: int


NOT_BEGUN = "not begun/"
"""How the id of an attempt's end begins if it couldn't start: nothing was done before it."""

EDIT_TRIAL = "edit"
"""The detail of a phase in which a person has an edit tested, before deciding on it."""


class PhaseStarted(BaseEvent):
    """The run entered a phase; `rollouts` is the most program runs that it may take."""

    kind: Literal["phase_started"] = "phase_started"
    phase: Phase
    epoch: int = 0
    batch: int = 0
    rollouts: int = 0
    detail: str = ""


class ProgressEstimated(BaseEvent):
    """How much of the run is done: model calls finished and expected, by the plan as it stands now.

    Runs of earlier versions counted a rollout as one call, and analyses only among those expected.
    """

    kind: Literal["progress"] = "progress"
    done: int
    expected: int


class RolloutFinished(BaseEvent):
    """The program answered one example, and the answer was scored.

    `completions` and `tokens` include those of a judge, whose completions are also in `judged` (journals of
    earlier versions don't tell them apart). It is `searched` where the search has a model of its own; such
    rollouts prove nothing.
    """

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
    metrics: dict[str, MetricScore] = Field(default_factory=dict)
    prediction: dict[str, Any] | None = None
    completions: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    tokens: Tokens = Tokens()
    seconds: float = 0.0
    searched: bool = False


class BatchScored(BaseEvent):
    """A batch was rolled out with the rules of that moment."""

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


class ConsensusReached(BaseEvent):
    """What the passes of one batch agree on."""

    kind: Literal["consensus"] = "consensus"
    epoch: int
    batch: int
    passes: int
    kept: tuple[ParsedRule, ...]
    dropped: tuple[DroppedProposal, ...] = ()


class ValidationStarted(BaseEvent):
    """A rule's paired test begins; `before` are the ids of the program's rules without the change.

    `before` is None in journals of earlier versions.
    """

    kind: Literal["validation_started"] = "validation_started"
    epoch: int
    batch: int
    action: Literal["add", "remove", "merge"]
    rule: Rule
    n: int
    before: tuple[str, ...] | None = None


class ValidationFinished(BaseEvent):
    """A rule's paired test is finished; the rule carries the evidence."""

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


ChangeReason = Literal[
    "accepted", "removed", "merged", "pruned", "rolled_back", "reviewed", "demonstrated", "thinned"
]


class RulesChanged(BaseEvent):
    """The program has another learned state from here on: other rules, or other demonstrations.

    `digest` is the whole state's; "demonstrated": demonstrations came in; "thinned": something was left out.
    """

    kind: Literal["rules"] = "rules"
    epoch: int
    batch: int
    reason: ChangeReason
    digest: str
    rules: tuple[Rule, ...]
    demonstrations: tuple[Demonstration, ...] = ()


class ReviewAwaited(BaseEvent):
    """The run waits for a person's decisions on these rules, or demonstrations, by id."""

    kind: Literal["review_awaited"] = "review_awaited"
    epoch: int
    batch: int
    rules: tuple[str, ...]
    are_demonstrations: bool = False

    @property
    def noun(self) -> str:
        """What one of them is."""
        return "demonstration" if self.are_demonstrations else "rule"


class ReviewApplied(BaseEvent):
    """A person reviewed the rules after the run; the result was scored again and saved as a new version."""

    kind: Literal["review_applied"] = "review_applied"
    number: int
    rules: tuple[Rule, ...]
    demonstrations: tuple[Demonstration, ...] = ()
    validation: Interval
    test: Interval | None = None
    gain: Interval | None = None
    artifact: str | None = None


EpochOutcome = Literal["baseline", "improved", "no_better", "rolled_back"]


class EpochFinished(BaseEvent):
    """An epoch's state was scored on the whole validation split. Epoch 0 is the baseline.

    `slices` maps values of the slice field to scores; it is empty without a slice field. `metrics` has the
    optimized sum and each metric in it.
    """

    kind: Literal["epoch"] = "epoch"
    epoch: int
    validation: Interval
    rules: str
    n_rules: int
    n_demonstrations: int = 0
    best: float
    outcome: EpochOutcome
    slices: dict[str, SliceScore] = Field(default_factory=dict)
    metrics: dict[str, MetricFigures] = Field(default_factory=dict)


class TestOpened(BaseEvent):
    """The sealed test split was opened: for which program on which model, and how many times so far.

    `fingerprint` is what a transfer's measurement depends on (see `engine.project.fingerprint`). The
    fingerprint of a release is in its artifact.
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

    `slices` maps values of the slice field to scores; `opening` counts how often this split was opened.
    """

    __test__ = False

    kind: Literal["test"] = "test"
    baseline: Interval
    optimized: Interval
    gain: Interval
    slices: dict[str, SliceScores] = Field(default_factory=dict)
    metrics: dict[str, MetricChange] = Field(default_factory=dict)
    opening: int = 1


class ArtifactSaved(BaseEvent):
    """The optimized program was saved for the model revision it was proved on.

    One that failed a gate (`passed` is False) is kept for a person to look at; it is not a result.
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
    """The run is waiting: a person paused it, or a decision is missing."""

    kind: Literal["paused"] = "paused"
    reason: str


class RunContinued(BaseEvent):
    """The run goes on after a pause."""

    kind: Literal["continued"] = "continued"


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
    | LabelsDoubted
    | MethodStarted
    | MethodFinished
    | BaseCompared
    | ContestStarted
    | LaneFinished
    | ObjectivesMet
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

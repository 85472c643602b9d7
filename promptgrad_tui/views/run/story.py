"""A run's story, folded from its events one by one: also that of a run which never ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.journal.ablation_events import LayersCompared
from engine.journal.contest_events import LaneFinished
from engine.journal.events import (
    EDIT_TRIAL,
    AnalysisFinished,
    ArtifactSaved,
    BatchScored,
    ConsensusReached,
    EpochFinished,
    Event,
    Notice,
    PhaseStarted,
    ReviewApplied,
    ReviewAwaited,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunSummary,
    TestFinished,
    Tokens,
    ValidationFinished,
    ValidationStarted,
)
from engine.journal.learning_events import (
    CandidatesProposed,
    DoubtedLabel,
    LabelsDoubted,
    LayerTested,
    LayerTestStarted,
    QuestionAnswered,
    ScreeningFinished,
)
from engine.journal.live_status import LiveStatus, Scorings
from engine.journal.live_text import LivePass
from engine.journal.method_events import BaseCompared
from engine.journal.narration import narrate
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule
from promptgrad_tui.views.run.gradients import Gradients
from promptgrad_tui.views.run.rollouts import Rollouts
from promptgrad_tui.views.run.rows import BatchStory, GradientRow, LogRow, Place, RolloutRow, TestRow
from promptgrad_tui.views.run.rule_tests import RuleSets, RuleTests, TestKey
from promptgrad_tui.views.run.shared_start import shared_start
from promptgrad_tui.views.run.timing.phase_times import PhaseTimes
from promptgrad_tui.views.run.timing.progress import Progress
from promptgrad_tui.views.sanitize import one_line

RunState: TypeAlias = Literal["waiting", "running", "paused", "lost", "finished"]


@dataclass
class RunStory:
    """All that a run's events say; fields are empty for what hasn't happened yet.

    `apply` takes events in their order, each once. `has_asked` says that the run waits for a person's
    decisions, `has_begun_review` that a review after its end is being applied. `passes`, `waits_for` and
    `scored` are not events: they are what its process is writing, waiting for and scoring at this moment.
    """

    started: RunStarted | None = None
    epochs: list[EpochFinished] = field(default_factory=list)
    batches: dict[Place, BatchStory] = field(default_factory=dict)
    test: TestFinished | None = None
    artifact: str | None = None
    notices: list[Notice] = field(default_factory=list)
    finished: RunFinished | None = None
    review: ReviewApplied | None = None
    progress: Progress = field(default_factory=Progress)
    times: PhaseTimes = field(default_factory=PhaseTimes)
    log: list[LogRow] = field(default_factory=list)
    calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    has_asked: bool = False
    has_begun_review: bool = False
    pause_reason: str = ""
    awaited: tuple[str, ...] = ()
    awaited_noun: str = "rule"
    passes: tuple[LivePass, ...] = ()
    waits_for: LiveStatus | None = None
    scored: Scorings | None = None
    last_seq: int = 0
    first_time: float = 0.0
    last_time: float = 0.0
    reviews: list[ReviewApplied] = field(default_factory=list)
    layers: LayersCompared | None = None
    base: BaseCompared | None = None
    lanes: list[LaneFinished] = field(default_factory=list)
    doubted: tuple[DoubtedLabel, ...] = ()
    review_began: tuple[float, int] = (0.0, 0)
    is_testing_edit: bool = False
    has_scored: bool = False
    _demonstrations: dict[str, tuple[Demonstration, ...]] = field(default_factory=dict)
    _shown: tuple[Demonstration, ...] = ()
    _batch: BatchStory | None = None
    _rule_start: tuple[int, str] = (0, "")

    def __post_init__(self) -> None:
        self._rollouts, self._gradients, self._sets = Rollouts(), Gradients(), RuleSets()
        self._tests = RuleTests(self._sets)

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunStory:
        """Return the story of these events."""
        story = cls()
        story.apply_all(enumerate(events, 1))
        return story

    def apply_all(self, events: Iterable[tuple[int, Event]]) -> None:
        """Take in numbered events."""
        for seq, event in events:
            self.apply(seq, event)

    def apply(self, seq: int, event: Event) -> None:
        """Take in one event with its number in the journal."""
        self.last_seq = seq
        if isinstance(event, PhaseStarted):
            self.is_testing_edit = event.detail == EDIT_TRIAL
        is_end = isinstance(event, RunResumed | RunFinished | ReviewApplied)
        begins_review = self.finished is not None and not is_end and not self.is_testing_edit
        if begins_review and not self.has_begun_review:
            self.review_began = (event.time, self.progress.done)
        self.has_begun_review = begins_review
        self.last_time = event.time
        self.first_time = self.first_time or event.time
        self.progress.apply(event)
        self.times.apply(event)
        match event:
            case RolloutFinished():
                self._take_rollout(seq, event)
                return
            case BatchScored() | AnalysisFinished() | ConsensusReached() | RulesChanged():
                self._take_batch_part(seq, event)
            case PhaseStarted() | ValidationStarted() | ValidationFinished() | QuestionAnswered():
                self._take_step(seq, event)
            case CandidatesProposed() | ScreeningFinished() | LayerTestStarted() | LayerTested():
                self._take_search(seq, event)
            case _:
                self._take_turn(event)
        text = narrate(event)
        if text:
            self.log.append(LogRow(seq, event.time, event.kind, text, getattr(event, "level", "info")))

    def _take_rollout(self, seq: int, event: RolloutFinished) -> None:
        self.calls += len(event.completions)
        self.tokens += event.tokens
        row = self._rollouts.add(seq, event)
        if self._batch is not None and event.split == "train":
            self._batch.done += 1
        if event.split == "validation":
            self._tests.compare(row, self._rollouts)

    def _take_batch_part(
        self, seq: int, event: BatchScored | AnalysisFinished | ConsensusReached | RulesChanged
    ) -> None:
        batch = self._batch_of(event)
        match event:
            case BatchScored():
                batch.scored, batch.seq, batch.done, batch.has_begun = event, seq, len(event.examples), True
                self._batch = None
            case AnalysisFinished():
                batch.analyses.append(event)
                self.calls += len(event.completions)
                self._gradients.take_analysis(event)
            case ConsensusReached():
                batch.consensus = event
                self._gradients.take_consensus(event)
                self._tests.queue(event)
            case RulesChanged():
                batch.changes.append(event)
                self._sets.take(event)
                self._demonstrations[event.digest] = self._shown = event.demonstrations
                if event.reason == "reviewed":
                    self.awaited = ()

    def _take_step(
        self, seq: int, event: PhaseStarted | ValidationStarted | ValidationFinished | QuestionAnswered
    ) -> None:
        match event:
            case PhaseStarted(phase="rollouts"):
                self._tests.close_queue()
                self._batch = self._batch_of(event)
                self._batch.has_begun = True
            case PhaseStarted(phase="gradients"):
                self._gradients.begin(event.epoch, event.batch)
            case ValidationStarted():
                self._tests.start(seq, event, is_trial=self.is_testing_edit)
            case ValidationFinished():
                self._tests.finish(seq, event)
                self.is_testing_edit = False
                if self.finished is None:  # tests of a review belong to no batch
                    batch = self._batch_of(event)
                    batch.validations.append(event)
                    batch.has_begun = True
            case QuestionAnswered():
                self.calls += len(event.completions)

    def _take_search(
        self, seq: int, event: CandidatesProposed | ScreeningFinished | LayerTestStarted | LayerTested
    ) -> None:
        match event:
            case CandidatesProposed():
                self._gradients.take_candidates(event)
            case ScreeningFinished():
                self._gradients.take_screening(event)
                self.has_scored = self.has_scored or (event.signal == "likelihood" and event.asked > 0)
            case LayerTestStarted():
                self._tests.start_set(seq, event)
            case LayerTested():
                self._tests.finish_set(seq, event)
                self.has_scored = self.has_scored or event.evidence.likelihood is not None
                batch = self._batch_of(event)
                batch.sets.append(event)
                batch.has_begun = True

    def _take_turn(self, event: Event) -> None:  # noqa: C901 - one case for each kind of event
        match event:
            case RunStarted():
                self.started = event
            case RunResumed():
                self.finished = None
                self._rollouts.restart_rate()
            case EpochFinished():
                self.epochs.append(event)
                self._tests.close_queue()
            case TestFinished() if not self.is_done:
                # Tests after the end of a run belong to a review, which has its own scores.
                self.test = event
            case ArtifactSaved():
                self.artifact = event.path
            case Notice():
                self.notices.append(event)
            case RunPaused():
                self.pause_reason = event.reason
            case ReviewAwaited():
                self.awaited, self.has_asked, self.awaited_noun = event.rules, True, event.noun
            case LayersCompared():
                self.layers = event
            case BaseCompared():
                self.base = event
            case LaneFinished():
                self.lanes.append(event)
            case LabelsDoubted():
                self.doubted = event.examples
            case ReviewApplied():
                self.review = event
                self.reviews.append(event)
                self._sets.shown = DemonstrationSet(event.demonstrations)
            case RunFinished():
                self.finished = event
                self._sets.shown = DemonstrationSet(event.summary.demonstrations)
                self._tests.close_queue()

    def _batch_of(
        self,
        event: PhaseStarted
        | BatchScored
        | AnalysisFinished
        | ConsensusReached
        | ValidationFinished
        | LayerTested
        | RulesChanged,
    ) -> BatchStory:
        place = (event.epoch, event.batch)
        return self.batches.setdefault(place, BatchStory(*place))

    @property
    def summary(self) -> RunSummary | None:
        """The result of the run, if it has ended."""
        return self.finished.summary if self.finished else None

    @property
    def is_done(self) -> bool:
        """Whether the run ended by itself: then its rules can be reviewed and saved again."""
        return self.summary is not None and self.summary.is_done

    @property
    def reviews_applied(self) -> int:
        """The number of the last review that was applied after the run."""
        return self.review.number if self.review else 0

    @property
    def best_epoch(self) -> EpochFinished | None:
        """The epoch whose state scored best on the validation split; 0 is the baseline."""
        return max(self.epochs, key=lambda epoch: (epoch.validation.score, -epoch.epoch), default=None)

    @property
    def best_rules(self) -> tuple[Rule, ...]:
        """The rules of the best state so far; at the end, those of its result."""
        if self.summary is not None and (self.summary.rules or self.summary.demonstrations):
            known = self._sets.by_id()
            return tuple(known.get(kept.id, kept.rule) for kept in self.summary.rules)
        best = self.best_epoch
        return self._sets.by_digest.get(best.rules, ()) if best else ()

    @property
    def best_demonstrations(self) -> tuple[Demonstration, ...]:
        """The demonstrations of the best state so far; at the end, those of its result."""
        if self.summary is not None and (self.summary.rules or self.summary.demonstrations):
            return self.summary.demonstrations
        best = self.best_epoch
        return self._demonstrations.get(best.rules, ()) if best else ()

    @property
    def rules_now(self) -> tuple[Rule, ...]:
        """The rules as they stand: so far, in the result, or after the last review of it."""
        if self.review is not None:
            return self.review.rules
        return self.best_rules if self.finished is not None else self._sets.current.rules

    @property
    def demonstrations_now(self) -> tuple[Demonstration, ...]:
        """The demonstrations as they stand: so far, in the result, or after the last review of it."""
        if self.review is not None:
            return self.review.demonstrations
        return self.best_demonstrations if self.finished is not None else self._shown

    @property
    def rule_changes(self) -> int:
        """How often the rules have changed."""
        return self._sets.changes

    def rules_of(self, digest: str) -> tuple[Rule, ...] | None:
        """Return the rules of a set that the run has had, by its digest."""
        return self._sets.by_digest.get(digest)

    def rules_had(self) -> dict[str, Rule]:
        """Return every rule that the program has had, by its id."""
        return self._sets.by_id()

    @property
    def rule_start(self) -> str:
        """The words with which many proposed rules begin."""
        of_tests, start = self._rule_start
        if of_tests != len(self.tests):
            start = shared_start(one_line(row.rule.text) for row in self.tests.values())
            self._rule_start = (len(self.tests), start)
        return start

    @property
    def batch_rows(self) -> list[BatchStory]:
        """The batches whose rollouts have begun, in order."""
        return [batch for batch in self.batches.values() if batch.has_begun]

    @property
    def tests(self) -> dict[TestKey, TestRow]:
        """The tests of rules, by epoch, batch, action and text."""
        return self._tests.rows

    @property
    def gradients(self) -> list[GradientRow]:
        """The rows of the gradients, without the passes that are being written."""
        return self._gradients.rows

    def gradient_rows(self) -> Sequence[GradientRow]:
        """Return the rows of the gradients, with the passes that are being written at the end."""
        return self._gradients.shown(self.passes)

    def analysis(self, place: tuple[int, int, int]) -> GradientRow | None:
        """Return the row of an analysis pass: as it was read in the end, or as it is being written."""
        rows = (row for row in reversed(self.gradient_rows()) if row.kind in ("analysis", "writing"))
        return next((row for row in rows if row.place == place), None)

    @property
    def rollouts(self) -> list[RolloutRow]:
        """All rollouts, in order of arrival."""
        return self._rollouts.rows

    def rollout(self, example: str, rules: str, before_seq: int | None = None) -> RolloutRow | None:
        """Return the rollout of an example under a rule set; see `Rollouts.find`."""
        return self._rollouts.find(example, rules, before_seq)

    def rollouts_of(self, batch: BatchStory) -> list[RolloutRow]:
        """Return a batch's rollouts, the failures first; in order of arrival until it is scored."""
        return self._rollouts.of_batch(batch, is_current=batch is self._batch)

    def tokens_per_second(self, now: float) -> float | None:
        """Return the rate of the last ten seconds, prompt and answer tokens together."""
        return self._rollouts.tokens_per_second(now)

    def state(self, *, is_running: bool) -> RunState:
        """Return the state of the run; `is_running` says whether a process works on it."""
        if self.finished is not None:
            return "finished"
        if not self.last_seq:
            return "waiting"
        if not is_running:
            return "lost"
        return "paused" if self.progress.is_waiting else "running"

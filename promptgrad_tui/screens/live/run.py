"""A run as a screen shows it: events folded, one by one, into rows that stay and change in place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.journal.events import (
    AnalysisFinished,
    BatchScored,
    ConsensusReached,
    DroppedProposal,
    EpochFinished,
    Event,
    PhaseStarted,
    ReviewApplied,
    ReviewAwaited,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    ValidationFinished,
    ValidationStarted,
)
from engine.journal.live_status import LiveStatus
from engine.journal.live_text import LivePass
from engine.journal.narration import narrate
from engine.programs.rules import ParsedRule, Rule, RuleSet
from promptgrad_tui.screens.live.rows import BatchRow, GradientRow, LogRow, Place, RolloutRow, TestRow
from promptgrad_tui.screens.live.shared_start import shared_start
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.progress import Progress
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.story import RunStory

RunState: TypeAlias = Literal["waiting", "running", "paused", "lost", "finished"]

_RATE_SECONDS = 10.0


@dataclass
class LiveRun:
    """All that a screen knows of a run; `apply` takes events in their order, each once.

    `has_asked` says that it waits for a person's decisions while it runs, `has_begun_review` that a review
    after its end is being applied.
    """

    story: RunStory = field(default_factory=RunStory)
    progress: Progress = field(default_factory=Progress)
    batches: dict[Place, BatchRow] = field(default_factory=dict)
    gradients: list[GradientRow] = field(default_factory=list)
    tests: dict[tuple[int, int, str, str], TestRow] = field(default_factory=dict)
    rollouts: list[RolloutRow] = field(default_factory=list)
    log: list[LogRow] = field(default_factory=list)
    has_asked: bool = False
    has_begun_review: bool = False
    finished: RunFinished | None = None
    rule_changes: int = 0
    pause_reason: str = ""
    reviews_applied: int = 0
    review: ReviewApplied | None = None
    awaited: tuple[str, ...] = ()
    passes: tuple[LivePass, ...] = ()
    waits_for: LiveStatus | None = None
    last_seq: int = 0
    first_time: float = 0.0
    last_time: float = 0.0
    _of_example: dict[str, list[RolloutRow]] = field(default_factory=dict)
    _digests: dict[str, tuple[Rule, ...]] = field(default_factory=lambda: {RuleSet().digest: ()})
    _known: dict[str, Rule] = field(default_factory=dict)
    _current: RuleSet = field(default_factory=RuleSet)
    _rule_start: tuple[int, str] = (0, "")
    _batch: BatchRow | None = None
    _gradient: GradientRow | None = None
    _test: TestRow | None = None
    _spent: deque[tuple[float, int]] = field(default_factory=deque)

    def apply_all(self, events: Iterable[tuple[int, Event]]) -> None:
        """Take in numbered events."""
        for seq, event in events:
            self.apply(seq, event)

    def apply(self, seq: int, event: Event) -> None:
        """Take in one event with its number in the journal."""
        self.last_seq = seq
        is_end = isinstance(event, RunResumed | RunFinished | ReviewApplied)
        self.has_begun_review = self.finished is not None and not is_end
        self.last_time = event.time
        self.first_time = self.first_time or event.time
        self.progress.apply(event)
        if isinstance(event, RolloutFinished):
            self.story.apply(event)
            self._take_rollout(seq, event)
            return
        self.story.apply(event)
        self._take(seq, event)
        text = narrate(event)
        if text or isinstance(event, RunStarted | RunResumed | RunPaused | RunFinished | ReviewApplied):
            level = getattr(event, "level", "info")
            self.log.append(LogRow(seq, event.time, event.kind, text or _plain_words(event), level))

    def _take(self, seq: int, event: Event) -> None:  # noqa: C901 - one case for each kind of event
        match event:
            case RunResumed():
                self.finished = None
                self._spent.clear()
            case PhaseStarted():
                self._enter(event)
            case BatchScored():
                row = self._batch_row((event.epoch, event.batch))
                row.scored, row.seq, row.done = event, seq, len(event.examples)
                self._batch = None
            case AnalysisFinished():
                self._take_analysis(event)
            case ConsensusReached():
                self._take_consensus(event)
            case ValidationStarted():
                self._start_test(seq, event)
            case ValidationFinished():
                self._finish_test(seq, event)
            case RulesChanged():
                self._current = RuleSet(event.rules)
                self._digests[event.digest] = event.rules
                self._known |= {rule.id: rule for rule in event.rules}
                self.rule_changes += 1
                if event.reason == "reviewed":
                    self.awaited = ()
            case RunPaused():
                self.pause_reason = event.reason
            case ReviewAwaited():
                self.awaited, self.has_asked = event.rules, True
            case ReviewApplied():
                self.reviews_applied = event.number
                self.review = event
            case EpochFinished():
                self._close_queue()
            case RunFinished():
                self.finished = event
                self._close_queue()
            case _:
                pass

    def _enter(self, event: PhaseStarted) -> None:
        if event.phase == "rollouts":
            self._close_queue()
            self._batch = self._batch_row((event.epoch, event.batch))
        elif event.phase == "gradients":
            self._gradient = self._add_heading(event.epoch, event.batch)

    def gradient_rows(self) -> Sequence[GradientRow]:
        """Return the lines of the gradients, with the passes that are being written at the end."""
        here = self._gradient
        if here is None or here.consensus is not None or not self.passes:
            return self.gradients
        head = len(self.gradients) - here.passes
        passes = {live.place: _writing_row(live) for live in self.passes}
        passes |= {row.place: row for row in self.gradients[head:] if row.place}
        rows = [passes[place] for place in sorted(passes) if place[:2] == (here.epoch, here.batch)]
        return [*self.gradients[:head], *rows]

    @property
    def rule_start(self) -> str:
        """What many of the rules that were proposed begin with."""
        of_tests, start = self._rule_start
        if of_tests != len(self.tests):
            start = shared_start(one_line(row.rule.text) for row in self.tests.values())
            self._rule_start = (len(self.tests), start)
        return start

    @property
    def rules_now(self) -> tuple[Rule, ...]:
        """The rules as they stand: those of the run so far, of its result, or of the last review of that."""
        is_over = self.finished is not None or self.review is not None
        return self.result_rules if is_over else self.story.current_rules

    @property
    def result_rules(self) -> tuple[Rule, ...]:
        """The rules of the best state so far, or what the last review of the run made of them."""
        return self.review.rules if self.review is not None else self.story.best_rules

    @property
    def is_done(self) -> bool:
        """Whether the run came to its own end, where its rules can be reviewed and saved anew."""
        return self.finished is not None and self.finished.summary.is_done

    def rules_had(self) -> dict[str, Rule]:
        """Return every rule that the program has had, by its id."""
        return {rule.id: rule for rules in self._digests.values() for rule in rules}

    def analysis(self, place: tuple[int, int, int]) -> GradientRow | None:
        """Return the line of an analysis pass: as it was read in the end, or as it is being written."""
        rows = (row for row in reversed(self.gradient_rows()) if row.kind in ("analysis", "writing"))
        return next((row for row in rows if row.place == place), None)

    def _batch_row(self, place: Place) -> BatchRow:
        return self.batches.setdefault(place, BatchRow(*place))

    def _take_rollout(self, seq: int, event: RolloutFinished) -> None:
        tokens = event.tokens.prompt + event.tokens.completion
        row = RolloutRow(
            *(seq, event.example, event.split, event.rules, event.repeat, event.score, event.is_success),
            *(event.error_type, tokens, event.seconds),
        )
        self.rollouts.append(row)
        self._of_example.setdefault(event.example, []).append(row)
        self._spent.append((event.time, tokens))
        while self._spent and self._spent[0][0] < event.time - _RATE_SECONDS:
            self._spent.popleft()
        if self._batch is not None and event.split == "train":
            self._batch.done += 1
        if self._test is not None and event.split == "validation":
            self._compare(self._test, row)

    def _compare(self, test: TestRow, row: RolloutRow) -> None:
        if row.rules == test.after:
            other = self.rollout(row.example, test.before)
            delta = row.score - other.score if other else None
        elif row.rules == test.before:
            other = self.rollout(row.example, test.after)
            delta = other.score - row.score if other else None
        else:
            return
        if delta is not None:
            test.seen[row.example] = delta

    def _heading(self, event: AnalysisFinished | ConsensusReached) -> GradientRow:
        here = self._gradient
        if here is None or (here.epoch, here.batch) != (event.epoch, event.batch):
            here = self._gradient = self._add_heading(event.epoch, event.batch)
        return here

    def _add_heading(self, epoch: int, batch: int) -> GradientRow:
        row = GradientRow(epoch, batch, "batch")
        self.gradients.append(row)
        return row

    def _take_analysis(self, event: AnalysisFinished) -> None:
        """Put a pass among those of its batch, by its number: they end in any order."""
        heading = self._heading(event)
        row = GradientRow(event.epoch, event.batch, "analysis", analysis=event)
        before = self.gradients[len(self.gradients) - heading.passes :]
        later = sum(other.analysis is not None and other.analysis.number > event.number for other in before)
        self.gradients.insert(len(self.gradients) - later, row)
        heading.passes += 1

    def _take_consensus(self, event: ConsensusReached) -> None:
        self._heading(event).consensus = event
        for proposal in event.kept:
            self.gradients.append(GradientRow(event.epoch, event.batch, "kept", proposal=proposal))
            key = (event.epoch, event.batch, proposal.action, proposal.text)
            self.tests.setdefault(
                key, TestRow(event.epoch, event.batch, proposal.action, self._rule(proposal, event))
            )
        self.gradients += [_dropped_row(event, dropped) for dropped in event.dropped]

    def _rule(self, proposal: ParsedRule, event: ConsensusReached) -> Rule:
        return Rule(
            text=proposal.text,
            trigger=proposal.trigger,
            predictor=proposal.predictor or "",
            rationale=proposal.rationale,
            confidence=proposal.confidence,
            support=proposal.support,
            epoch=event.epoch,
            batch=event.batch,
        )

    def _start_test(self, seq: int, event: ValidationStarted) -> None:
        key = (event.epoch, event.batch, event.action, event.rule.text)
        row = self.tests.setdefault(key, TestRow(event.epoch, event.batch, event.action, event.rule))
        row.rule, row.state, row.n, row.started_seq, row.seen = event.rule, "running", event.n, seq, {}
        before = self._before(event)
        row.before, row.after = before.digest, _after(event, before).digest
        self._digests.setdefault(before.digest, before.rules)
        self._known[event.rule.id] = event.rule
        self._test = row

    def _before(self, event: ValidationStarted) -> RuleSet:
        # In a review a rule is tested beside those that a person has kept, which the program never had.
        if event.before is None or any(rule not in self._known for rule in event.before):
            return self._current
        return RuleSet(self._known[rule] for rule in event.before)

    def _finish_test(self, seq: int, event: ValidationFinished) -> None:
        key = (event.epoch, event.batch, event.action, event.rule.text)
        row = self.tests.setdefault(key, TestRow(event.epoch, event.batch, event.action, event.rule))
        row.finished, row.finished_seq, row.state = event, seq, event.verdict
        if event.evidence is not None:
            row.n = event.evidence.n
        self._test = None
        batch = self._batch_row((event.epoch, event.batch))
        batch.tested += 1
        if event.verdict == "accepted" and event.action != "merge":
            batch.kept += 1
            batch.gain += event.evidence.delta if event.evidence else 0.0

    def _close_queue(self) -> None:
        for row in reversed(self.tests.values()):
            if row.state != "queued":
                break
            row.state = "not_tested"

    def rollout(self, example: str, rules: str, before_seq: int | None = None) -> RolloutRow | None:
        """Return the rollout of an example under a rule set.

        With conditional rules an example meets only some of a set: then it is its latest rollout before
        the event with the number `before_seq`.
        """
        rows = self._of_example.get(example, ())
        for row in rows:
            if row.rules == rules and row.repeat == 0:
                return row
        if before_seq is None:
            return None
        earlier = [row for row in rows if row.seq < before_seq and row.repeat == 0]
        return earlier[-1] if earlier else None

    def rollouts_of(self, batch: BatchRow) -> list[RolloutRow]:
        """Return a batch's rollouts, the failures first; in the order of arrival until it is scored."""
        if batch.scored is None:
            return self.rollouts[-batch.done :] if batch is self._batch and batch.done else []
        failed = set(batch.scored.failures)
        rows = [self.rollout(example, batch.scored.rules, batch.seq) for example in batch.scored.examples]
        return sorted(
            (row for row in rows if row), key=lambda row: (row.example not in failed, row.error_type)
        )

    def rules_of(self, digest: str) -> tuple[Rule, ...] | None:
        """Return the rules of a set that the run has had, by its digest."""
        return self._digests.get(digest)

    def tokens_per_second(self, now: float) -> float | None:
        """Return the rate of the last ten seconds, prompt and answer tokens together."""
        recent = [(when, tokens) for when, tokens in self._spent if when > now - _RATE_SECONDS]
        if len(recent) < 2:
            return None
        return sum(tokens for _, tokens in recent) / max(now - recent[0][0], 0.5)

    def state(self, *, is_running: bool) -> RunState:
        """Return how the run stands; `is_running` says whether a process works on it."""
        if self.finished is not None:
            return "finished"
        if not self.last_seq:
            return "waiting"
        if not is_running:
            return "lost"
        return "paused" if self.progress.is_waiting else "running"


def _after(event: ValidationStarted, before: RuleSet) -> RuleSet:
    if event.action == "remove":
        return before.removing(event.rule)
    if event.action == "add":
        return before.adding(event.rule)
    merged = [rule for rule in before if rule.id in event.rule.merged_from]
    return before.replacing(merged, event.rule)


def _writing_row(live: LivePass) -> GradientRow:
    return GradientRow(live.epoch, live.batch, "writing", live=live)


def _dropped_row(event: ConsensusReached, dropped: DroppedProposal) -> GradientRow:
    return GradientRow(event.epoch, event.batch, "dropped", proposal=dropped.proposal, reason=dropped.reason)


def _plain_words(event: Event) -> str:
    match event:
        case RunStarted():
            return f"run {event.run} started on {event.model.uri}"
        case RunResumed():
            return f"resumed, process number {event.attempt}"
        case RunPaused():
            return f"paused: {event.reason}"
        case RunFinished():
            return f"{event.summary.status.replace('_', ' ')}: {event.summary.reason}"
        case ReviewApplied():
            return f"review {event.number} applied: {count_text(len(event.rules), 'rule')} now"
        case _:
            return event.kind

"""The rows that a run's events are folded into: rollouts, batches, gradients, tests, the log."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.journal.events import (
    AnalysisFinished,
    BatchScored,
    ConsensusReached,
    RulesChanged,
    ValidationFinished,
)
from engine.journal.learning_events import Candidate, LayerTested, Screened
from engine.journal.live_text import LivePass
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import ParsedRule, Rule
from promptgrad_tui.views.figures import count_text

Place: TypeAlias = tuple[int, int]
TestState: TypeAlias = Literal["queued", "running", "accepted", "rejected", "needs_review", "not_tested"]


@dataclass(slots=True)
class RolloutRow:
    """What a list shows of one rollout; the event itself stays in the journal under its number `seq`."""

    seq: int
    example: str
    split: str
    rules: str
    repeat: int
    score: float
    is_success: bool
    error_type: str
    tokens: int
    seconds: float


@dataclass(slots=True)
class BatchStory:
    """A batch and what it led to. It is in progress until `scored` is set.

    `done` counts its rollouts so far, `seq` is the number of `scored` in the journal.
    """

    epoch: int
    batch: int
    has_begun: bool = False
    done: int = 0
    scored: BatchScored | None = None
    seq: int = 0
    analyses: list[AnalysisFinished] = field(default_factory=list)
    consensus: ConsensusReached | None = None
    validations: list[ValidationFinished] = field(default_factory=list)
    sets: list[LayerTested] = field(default_factory=list)
    changes: list[RulesChanged] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Epoch and batch."""
        return self.epoch, self.batch

    @property
    def kept(self) -> list[ValidationFinished]:
        """The tests that changed the rules."""
        return [test for test in self.validations if test.verdict == "accepted" and test.action != "merge"]

    @property
    def gain(self) -> float:
        """What the tests measured for the rules that were kept, added up."""
        return sum(test.evidence.delta for test in self.kept if test.evidence)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come of it so far but rollouts."""
        came = (self.scored, self.analyses, self.consensus, self.validations, self.sets, self.changes)
        return not any(came)


@dataclass(slots=True)
class GradientRow:
    """A line of the gradients: a batch, one of its analysis passes, or a proposal and its outcome.

    A pass in progress is "writing": `live` is what it has written so far. A "candidate" comes from another
    source than analyses; `screened` is what ranking it said. A batch counts those that were `proposed`.
    """

    epoch: int
    batch: int
    kind: Literal["batch", "analysis", "writing", "kept", "dropped", "candidate"]
    passes: int = 0
    live: LivePass | None = None
    analysis: AnalysisFinished | None = None
    consensus: ConsensusReached | None = None
    proposal: ParsedRule | None = None
    reason: str = ""
    source: str = ""
    candidate: Candidate | None = None
    screened: Screened | None = None
    proposed: int = 0

    @property
    def place(self) -> tuple[int, int, int] | None:
        """Epoch, batch and number of an analysis pass; None for other lines."""
        if self.live is not None:
            return self.live.place
        return (self.epoch, self.batch, self.analysis.number) if self.analysis else None


@dataclass(slots=True)
class TestRow:
    """A rule's paired test: queued, running, or judged; `seen` maps examples to differences so far.

    In the test of a set `rule` stands for all of it: its text is the set's title, `layer` is what the set is
    of, and `members` or `demonstrations` are what is in it. `is_trial` marks that of an edit that a person
    wanted tested before deciding on it.
    """

    __test__ = False

    epoch: int
    batch: int
    action: str
    rule: Rule
    state: TestState = "queued"
    n: int = 0
    before: str = ""
    after: str = ""
    started_seq: int = 0
    seen: dict[str, float] = field(default_factory=dict)
    finished: ValidationFinished | LayerTested | None = None
    finished_seq: int = 0
    layer: str = ""
    source: str = ""
    members: tuple[Rule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    is_trial: bool = False

    @property
    def is_set(self) -> bool:
        """Whether several rules, or demonstrations, are tested together."""
        return bool(self.layer)

    @property
    def title(self) -> str:
        """What is tested: a rule's text, or how many are in a set and what set it is."""
        if not self.is_set:
            return self.rule.text
        if self.demonstrations:
            return f"{count_text(len(self.demonstrations), 'demonstration')}: {self.rule.text}"
        return f"{count_text(len(self.members), 'rule')}: {self.rule.text}"

    def so_far(self) -> tuple[float, float, float] | None:
        """Return mean, low and high of the differences seen so far, or None while there are too few.

        The interval is the rough one of the normal distribution: the test's own comes with its verdict.
        """
        n = len(self.seen)
        if n < 2:
            return None
        mean = sum(self.seen.values()) / n
        spread = math.sqrt(sum((delta - mean) ** 2 for delta in self.seen.values()) / (n - 1) / n)
        return mean, mean - 1.96 * spread, mean + 1.96 * spread


@dataclass(slots=True)
class LogRow:
    """A line of the log."""

    seq: int
    time: float
    kind: str
    text: str
    level: str = "info"

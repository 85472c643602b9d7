"""What happens between a batch's failures and a test: proposals by source, screening, sets, layers."""

from __future__ import annotations

from typing import Any, Literal

from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Evidence
from engine.journal.event_base import BaseEvent
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule

Verdict = Literal["accepted", "rejected", "needs_review"]
Layer = Literal["rules", "demonstrations"]
LayerAction = Literal["add", "remove"]


class QuestionAnswered(BaseEvent):
    """A source asked the reflection model a short question; `about` names the subject."""

    kind: Literal["question"] = "question"
    epoch: int
    batch: int
    source: str
    about: str
    number: int
    temperature: float
    answer: str
    completions: tuple[str, ...] = ()


class Candidate(FrozenModel):
    """What might be added together: a set of rules, one rule, or a set of demonstrations.

    `id` is unique within its batch; `title` describes it for a person.
    """

    id: str
    source: str
    title: str
    rules: tuple[Rule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()


class CandidatesProposed(BaseEvent):
    """A source proposed candidates, at the cost of `questions`."""

    kind: Literal["candidates"] = "candidates"
    epoch: int
    batch: int
    source: str
    candidates: tuple[Candidate, ...]
    questions: int = 0


class Screened(FrozenModel):
    """The result of screening a candidate: mean gain on `n` training examples, its error, and the decision.

    If the signal is the likelihood, the gain is in log-probability of the right answers; otherwise it is in
    the metric's score.
    """

    candidate: str
    title: str
    source: str
    gain: float
    error: float
    n: int
    is_tested: bool
    reason: str


class ScreeningFinished(BaseEvent):
    """Candidates were ranked on training examples; `asked` counts the model calls for it."""

    kind: Literal["screening"] = "screening"
    epoch: int
    batch: int
    layer: Layer
    signal: Literal["likelihood", "score"]
    rows: tuple[Screened, ...]
    asked: int = 0


class LayerTestStarted(BaseEvent):
    """The paired test of a set begins, which is added to a layer or taken out of it."""

    kind: Literal["layer_test_started"] = "layer_test_started"
    epoch: int
    batch: int
    layer: Layer
    action: LayerAction
    source: str
    title: str
    n: int
    before: str
    after: str
    rules: tuple[Rule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()


class LayerTested(BaseEvent):
    """The paired test of a set is finished; `before` and `after` are the digests of the states compared."""

    kind: Literal["layer_test"] = "layer_test"
    epoch: int
    batch: int
    layer: Layer
    action: LayerAction
    source: str
    title: str
    before: str
    after: str
    verdict: Verdict
    reason: str
    rules: tuple[Rule, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    evidence: Evidence


class DoubtedLabel(FrozenModel):
    """An example that every version answered wrong: it was run with `versions`, `alike` of which agree.

    `inputs` is the key of its inputs, which stays when the label is corrected. `probability` is that of the
    other answer among those that compete, where the model tells it.
    """

    example: str
    inputs: str
    split: Literal["train", "validation", "test"]
    file: str
    line: int
    field: str
    expected: Any
    answer: Any
    versions: int
    alike: int
    probability: float | None = None


class LabelsDoubted(BaseEvent):
    """Labels that are probably wrong, the surest first; written at the end of a run."""

    kind: Literal["labels_doubted"] = "labels_doubted"
    examples: tuple[DoubtedLabel, ...]

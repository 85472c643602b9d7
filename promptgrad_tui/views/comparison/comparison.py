"""Two programs side by side: scores, rules, prompts, and the change in each example that both answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from engine.ground.interval import Interval
from engine.journal.events import KeptRule, MetricChange, SliceScores, SplitScores
from engine.programs.demonstrations import Demonstration
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import SPLITS, Change, ExampleChange, HeldOut


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Rule = TypeVar("_Rule", bound=_HasId)


@dataclass(frozen=True)
class ComparedProgram:
    """A program with its rules, its prompts, and its scores and answers on the held-out splits.

    `model` is the exact revision and `uri` how it was opened; `program` and `data` are the digests of the
    program and of each split. `answers` are keyed by split and by the example's key; `journal` has the
    completions that they name. `note` says what is unknown.
    """

    title: str
    uri: str = ""
    model: str = ""
    program: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    scores: SplitScores = field(default_factory=SplitScores)
    rules: Sequence[KeptRule] = ()
    demonstrations: Sequence[Demonstration] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[HeldOut, Mapping[str, Answer]] = field(default_factory=dict)
    journal: Path | None = None
    note: str = ""


@dataclass(frozen=True)
class ScoreChange:
    """A split's scores, as each program was measured, and the paired gain on the examples of both."""

    before: Interval | None
    after: Interval | None
    gain: Interval | None

    @property
    def is_partial(self) -> bool:
        """Whether one of the programs was measured on examples that the other wasn't."""
        n = self.gain.n if self.gain else 0
        return any(scores is not None and scores.n != n for scores in (self.before, self.after))


@dataclass(frozen=True)
class Comparison:
    """Two programs, and for each split the change in the examples that both answered.

    `scores` has both splits; `changes`, `slices` and `metrics` (each of several) those on which the two have
    examples in common.
    """

    before: ComparedProgram
    after: ComparedProgram
    changes: Mapping[HeldOut, Sequence[ExampleChange]]
    scores: Mapping[HeldOut, ScoreChange]
    slices: Mapping[HeldOut, Mapping[str, SliceScores]]
    metrics: Mapping[HeldOut, Mapping[str, MetricChange]] = field(default_factory=dict)

    @property
    def split(self) -> HeldOut:
        """The split to look at first: the test split, if both were measured on it."""
        return "test" if "test" in self.changes or "validation" not in self.changes else "validation"

    def counts(self, split: HeldOut) -> Counter[Change]:
        """Return how many examples of a split were fixed, broken, failing or the same."""
        return Counter(change.change for change in self.changes.get(split, ()))

    @property
    def shown_now(self) -> list[Demonstration]:
        """The demonstrations that only the second program shows."""
        return only_in(self.after.demonstrations, self.before.demonstrations)

    @property
    def shown_before(self) -> list[Demonstration]:
        """The demonstrations that only the first program shows."""
        return only_in(self.before.demonstrations, self.after.demonstrations)

    @property
    def added(self) -> list[KeptRule]:
        """The rules that only the program after has."""
        return only_in(self.after.rules, self.before.rules)

    @property
    def removed(self) -> list[KeptRule]:
        """The rules that only the program before has."""
        return only_in(self.before.rules, self.after.rules)

    @property
    def prompts(self) -> dict[str, tuple[str, str]]:
        """Each predictor's whole instructions, before and after."""
        before, after = self.before.prompts, self.after.prompts
        return {name: (before.get(name, ""), after.get(name, "")) for name in {**before, **after}}

    @property
    def notes(self) -> list[str]:
        """What a person should know before drawing conclusions."""
        return list(self._notes())

    def _notes(self) -> Iterator[str]:
        before, after = self.before, self.after
        if before.model and after.model and before.model != after.model:
            yield "The two were measured on different models."
        if before.program and after.program and before.program != after.program:
            yield "The two are of different programs: fields, base instructions or settings differ."
        for split in SPLITS:
            digests = (before.data.get(split), after.data.get(split))
            if None not in digests and digests[0] != digests[1]:
                yield f"The {split} split has changed in between: only examples in both are paired."
        if not self.changes:
            yield "No example was answered by both: there is nothing to pair."
        yield from dict.fromkeys(note for note in (before.note, after.note) if note)


def only_in(these: Sequence[_Rule], others: Sequence[_Rule]) -> list[_Rule]:
    """Return the rules of `these` that `others` lacks."""
    known = {rule.id for rule in others}
    return [rule for rule in these if rule.id not in known]

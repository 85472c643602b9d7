"""Two programs side by side: scores, rules, prompts, and what became of each example that both answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from engine.ground.errors import ProjectError
from engine.ground.interval import Interval
from engine.ground.statistics import gain_interval
from engine.journal.events import KeptRule, SliceScores
from engine.journal.journal import Journal, journal_path
from engine.learning.slices import ScoredExamples
from promptgrad_tui.work.compare.changes import Change, ExampleChange, HeldOut, example_changes
from promptgrad_tui.work.compare.compared import SPLITS, ComparedProgram, program_of_artifact, program_of_run
from promptgrad_tui.work.measure.project_examples import ProjectExamples
from promptgrad_tui.work.release.artifact_project import folder_of

BASELINE = "baseline"
"""Names the program without rules of what it is compared with."""


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Rule = TypeVar("_Rule", bound=_HasId)


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
    """Two programs, and for each split what became of the examples that both answered.

    `scores` has both splits; `changes` and `slices` those on which the two have examples in common.
    """

    before: ComparedProgram
    after: ComparedProgram
    changes: Mapping[HeldOut, Sequence[ExampleChange]]
    scores: Mapping[HeldOut, ScoreChange]
    slices: Mapping[HeldOut, Mapping[str, SliceScores]]

    @property
    def split(self) -> HeldOut:
        """The split to look at first: the test split, if both were measured on it."""
        return "test" if "test" in self.changes or "validation" not in self.changes else "validation"

    def counts(self, split: HeldOut) -> Counter[Change]:
        """Return how many examples of a split were fixed, broken, failing or the same."""
        return Counter(change.change for change in self.changes.get(split, ()))

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
            yield "The two are not of the same program: fields, base instructions or settings differ."
        for split in SPLITS:
            digests = (before.data.get(split), after.data.get(split))
            if None not in digests and digests[0] != digests[1]:
                yield f"The {split} split has changed in between: only examples of both are paired."
        if not self.changes:
            yield "No example was answered by both: there is nothing to pair."
        yield from dict.fromkeys(note for note in (before.note, after.note) if note)


def compare(before: ComparedProgram, after: ComparedProgram, examples: ProjectExamples) -> Comparison:
    """Return the comparison of two programs; `examples` are those that the project still has."""
    found = {
        split: example_changes(before.answers.get(split, {}), after.answers.get(split, {}), examples)
        for split in SPLITS
    }
    changes = {split: of_both for split, of_both in found.items() if of_both}
    scores = {
        split: ScoreChange(
            getattr(before.scores, split), getattr(after.scores, split), _gain(changes.get(split, ()))
        )
        for split in SPLITS
    }
    return Comparison(before, after, changes, scores, {split: _slices(changes[split]) for split in changes})


def _gain(changes: Sequence[ExampleChange]) -> Interval | None:
    if not changes:
        return None
    return gain_interval(
        [change.before.score for change in changes], [change.after.score for change in changes]
    )


def _slices(changes: Sequence[ExampleChange]) -> dict[str, SliceScores]:
    names = [change.slice for change in changes]
    before, after = (
        ScoredExamples([answer.score for answer in side], [answer.is_success for answer in side], names)
        for side in ([change.before for change in changes], [change.after for change in changes])
    )
    return after.gains_over(before)


def only_in(these: Sequence[_Rule], others: Sequence[_Rule]) -> list[_Rule]:
    """Return the rules of `these` that `others` lacks."""
    known = {rule.id for rule in others}
    return [rule for rule in these if rule.id not in known]


def read_comparison(project: Path, before: str, after: str) -> Comparison:
    """Return the comparison of two programs of a project, from what was measured already.

    Each is named by a run's id, a part of it or "last", or by an artifact's folder. One of them may be
    "baseline": the other's program without rules.

    Raises:
        JournalError: there is no such run.
        ArtifactError: the artifact is damaged.
        ProjectError: both are "baseline".
    """
    if before == after == BASELINE:
        raise ProjectError(
            "A baseline has nothing to be compared with.", hint="Name a run or an artifact as one of the two."
        )
    known = {name: _read_program(project, name) for name in {before, after} - {BASELINE}}
    if BASELINE in (before, after):
        other = after if before == BASELINE else before
        known[BASELINE] = _read_program(project, other, is_baseline=True)
    places = (folder_of(Path(name), project) for name in (after, before) if Path(name).is_dir())
    return compare(known[before], known[after], ProjectExamples.of(next(places, project)))


def _read_program(project: Path, name: str, *, is_baseline: bool = False) -> ComparedProgram:
    for folder in (Path(name), project / name):
        if folder.is_dir():
            return program_of_artifact(folder, folder_of(folder, project), is_baseline=is_baseline)
    with Journal.open(journal_path(project), read_only=True) as journal:
        return program_of_run(journal, journal.run(name), is_baseline=is_baseline)

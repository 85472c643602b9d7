"""Two programs of a project compared, from what was measured already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.ground.errors import ProjectError
from engine.ground.interval import Interval
from engine.ground.metric_scores import columns_of
from engine.ground.statistics import gain_interval
from engine.journal.journal import Journal, journal_path
from engine.learning.slices import ScoredExamples
from promptgrad_tui.views.comparison.changes import SPLITS, ExampleChange
from promptgrad_tui.views.comparison.comparison import ComparedProgram, Comparison, ScoreChange
from promptgrad_tui.work.compare.changes import example_changes
from promptgrad_tui.work.compare.compared import program_of_artifact, program_of_run
from promptgrad_tui.work.measure.project_examples import ProjectExamples
from promptgrad_tui.work.release.artifact_project import folder_of

BASELINE = "baseline"
"""Names the program without rules of what it is compared with."""


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
    sides = {split: _sides(of_both) for split, of_both in changes.items()}
    return Comparison(
        before,
        after,
        changes,
        scores,
        {split: new.gains_over(old) for split, (old, new) in sides.items()},
        {split: new.changes_from(old) for split, (old, new) in sides.items()},
    )


def _gain(changes: Sequence[ExampleChange]) -> Interval | None:
    if not changes:
        return None
    return gain_interval(
        [change.before.score for change in changes], [change.after.score for change in changes]
    )


def _sides(changes: Sequence[ExampleChange]) -> tuple[ScoredExamples, ScoredExamples]:
    names = [change.slice for change in changes]
    before, after = (
        ScoredExamples(
            [answer.score for answer in side],
            [answer.is_success for answer in side],
            names,
            columns_of([answer.metrics for answer in side]),
        )
        for side in ([change.before for change in changes], [change.after for change in changes])
    )
    return before, after


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

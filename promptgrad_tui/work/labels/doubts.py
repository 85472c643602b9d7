"""The labels that a run doubts, and what has become of each since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.ground.errors import DataError, NoRunError
from engine.journal.journal import Journal, RunRecord
from engine.journal.learning_events import DoubtedLabel, LabelsDoubted
from engine.project.data import LoadedExample, load_examples
from engine.project.data_files import files_of
from engine.project.settings import Project


@dataclass(frozen=True)
class Doubted:
    """A doubted label with its number in the run's list (from 1); `example` is None once it was changed."""

    number: int
    label: DoubtedLabel
    state: Literal["open", "changed", "excluded"]
    example: LoadedExample | None


def doubted_of(journal: Journal, run: RunRecord) -> Sequence[DoubtedLabel]:
    """Return the labels that a run doubts, the surest first."""
    events = [event for _, event in journal.events(run.id, kinds=["labels_doubted"])]
    return [label for event in events[-1:] if isinstance(event, LabelsDoubted) for label in event.examples]


def doubted_now(project: Project, labels: Sequence[DoubtedLabel]) -> list[Doubted]:
    """Return these labels as the project's files and its list of excluded examples have them now."""
    examples = _examples(project)
    excluded = set(project.data.exclude)
    found = []
    for number, label in enumerate(labels, 1):
        example = examples.get(label.example)
        state: Literal["open", "changed", "excluded"] = "open" if example is not None else "changed"
        if example is not None and {example.key, example.name} & excluded:
            state = "excluded"
        found.append(Doubted(number, label, state, example))
    return found


def numbered(found: Sequence[Doubted], number: int) -> tuple[Doubted, LoadedExample]:
    """Return the label of a number with its example, to be corrected or excluded.

    Raises:
        NoRunError: the list has no such number.
        DataError: the example isn't in its file any more as the run saw it.
    """
    if not 1 <= number <= len(found):
        raise NoRunError(f"The list has {len(found)} labels.", hint="promptgrad labels shows them.")
    doubted = found[number - 1]
    if doubted.example is None:
        place = f"{doubted.label.file}, line {doubted.label.line}"
        raise DataError(f"{place}: the example has changed since the run.", hint="Run again: promptgrad run")
    return doubted, doubted.example


def _examples(project: Project) -> dict[str, LoadedExample]:
    data = project.data
    named = [split for split in (data.train, data.validation, data.test) if split]
    paths = [path for split in named for path in files_of(project.root, split)]
    return {example.key: example for path in paths for example in load_examples(path, data.id, data.fields)}

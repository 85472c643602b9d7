"""The labels that a run doubts, and what has become of each since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.ground.errors import DataError, NoRunError
from engine.ground.examples import example_key, public_fields
from engine.journal.journal import Journal, RunRecord
from engine.journal.learning_events import DoubtedLabel, LabelsDoubted
from engine.project.data import LoadedExample, load_examples
from engine.project.data_files import files_of
from engine.project.settings import Project


@dataclass(frozen=True)
class Doubted:
    """A doubted label with its number in the run's list (from 1); `example` is None once it was changed.

    `corrected` is the example as it is now if only its label has been changed.
    """

    number: int
    label: DoubtedLabel
    state: Literal["open", "changed", "excluded"]
    example: LoadedExample | None
    corrected: LoadedExample | None = None

    @property
    def now(self) -> Any:
        """The label in the file now, None where it isn't there any more."""
        found = self.example or self.corrected
        return found.values.get(self.label.field) if found is not None else None


def doubted_of(journal: Journal, run: RunRecord) -> Sequence[DoubtedLabel]:
    """Return the labels that a run doubts, the surest first."""
    events = journal.events_of(run.id, LabelsDoubted)
    return events[-1].examples if events else ()


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
        corrected = _corrected(project, label, examples.values()) if example is None else None
        found.append(Doubted(number, label, state, example, corrected))
    return found


def numbered(found: Sequence[Doubted], number: int) -> tuple[Doubted, LoadedExample]:
    """Return the label of a number with its example, to be corrected or excluded.

    Raises:
        NoRunError: the list has no such number.
        DataError: the example isn't in its file any more as the run saw it.
    """
    doubted = at_number(found, number)
    if doubted.example is None:
        place = f"{doubted.label.file}, line {doubted.label.line}"
        raise DataError(f"{place}: the example has changed since the run.", hint="Run again: promptgrad run")
    return doubted, doubted.example


def at_number(found: Sequence[Doubted], number: int) -> Doubted:
    """Return the label of a number.

    Raises:
        NoRunError: the list has no such number.
    """
    if not 1 <= number <= len(found):
        raise NoRunError(f"The list has {len(found)} labels.", hint="promptgrad labels shows them.")
    return found[number - 1]


def _corrected(
    project: Project, label: DoubtedLabel, examples: Iterable[LoadedExample]
) -> LoadedExample | None:
    """Return the example of a label's file that would be the doubted one if it had the label it had then."""
    file = (project.root / label.file).resolve()
    for example in examples:
        if label.field in example.values and example.file.resolve() == file:
            then = {**example.values, label.field: label.expected}
            if example_key(then, public_fields(then)) == label.example:
                return example
    return None


def _examples(project: Project) -> dict[str, LoadedExample]:
    data = project.data
    named = [split for split in (data.train, data.validation, data.test) if split]
    paths = [path for split in named for path in files_of(project.root, split)]
    return {example.key: example for path in paths for example in load_examples(path, data.id, data.fields)}

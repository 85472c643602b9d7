"""What a person decides about the labels that a run doubts, one after the other, and takes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.work.labels.correcting import correction, exclusion, taking_back
from promptgrad_tui.work.labels.doubts import Doubted, at_number, doubted_now, doubted_of, numbered
from promptgrad_tui.work.labels.file_change import FileChange
from promptgrad_tui.work.opening import open_project


class LabelDecisions:
    """The list of a run as the files have it now, and the decisions that were made since it was opened."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.rows: Sequence[Doubted] = ()
        self._made: list[tuple[int, FileChange]] = []

    def read(self) -> None:
        """Read the run's list, and what has become of each label since.

        Raises:
            PromptGradError: the project, its data or the journal can't be read.
        """
        project = open_project(self.folder, {})
        with Journal.open(journal_path(self.folder), read_only=True) as journal:
            record = journal.run(self.run)
            labels = doubted_of(journal, record)
        self.run = record.id  # "last" stays the run that it was
        self._project, self.rows = project, doubted_now(project, labels)

    def correction(self, number: int, value: Any) -> FileChange:
        """Return the change that gives an example another label, to be shown and then made.

        Raises:
            DataError: its file can't be changed in place, or has been changed.
        """
        doubted, example = numbered(self.rows, number)
        return correction(self._project, example, doubted.label.field, value)

    def exclusion(self, number: int) -> FileChange:
        """Return the change that leaves an example out from now on.

        Raises:
            PromptGradError: the project file can't be changed, or the example has been changed.
        """
        _, example = numbered(self.rows, number)
        return exclusion(self._project, example)

    def make(self, number: int, change: FileChange) -> None:
        """Make a change and read the list again.

        Raises:
            PromptGradError: the file has been changed meanwhile, or can't be written.
        """
        change.make()
        self._made.append((number, change))
        self.read()

    @property
    def last(self) -> int | None:
        """The number of the label that was decided last and not taken back."""
        return self._made[-1][0] if self._made else None

    def take_back(self, number: int) -> int:
        """Take the last decision back, or that about a label where none was made here; return its number.

        A file that has been changed since keeps those changes: then the label alone is written back.

        Raises:
            PromptGradError: the example isn't there any more, or a file can't be written.
        """
        made = self._made[-1] if self._made else None
        if made is not None and made[1].is_made:
            number = made[0]
            made[1].take_back()
        else:
            number = made[0] if made is not None else number
            self.read()
            taking_back(self._project, at_number(self.rows, number)).make()
        if made is not None:  # a decision that can't be taken back yet stays the last one
            self._made.pop()
        self.read()
        return number

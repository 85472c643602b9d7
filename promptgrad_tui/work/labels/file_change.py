"""A change of one file: shown before it is made, and taken back byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.ground.errors import DataError
from engine.ground.files import replace_file
from engine.project.data_files import shown


@dataclass(frozen=True)
class FileChange:
    """A file's bytes before and after a change that a person may decide on."""

    file: Path
    before: bytes
    after: bytes

    def make(self) -> None:
        """Write the file as it is after the change.

        Raises:
            DataError: the file isn't as it was when the change was thought out, or can't be written.
        """
        self._replace(self.before, self.after)

    def take_back(self) -> None:
        """Write the file as it was before the change.

        Raises:
            DataError: the file has been changed since, or can't be written.
        """
        self._replace(self.after, self.before)

    @property
    def is_made(self) -> bool:
        """Whether the file is as the change leaves it."""
        return self.file.is_file() and self.file.read_bytes() == self.after

    @property
    def lines(self) -> tuple[str, str]:
        """The lines that differ, before and after: all from the first of them to the last."""
        before, after = (each.decode(errors="replace").split("\n") for each in (self.before, self.after))
        start, end = 0, 0
        shorter = min(len(before), len(after))
        while start < shorter and before[start] == after[start]:
            start += 1
        while end < shorter - start and before[-1 - end] == after[-1 - end]:
            end += 1
        return "\n".join(before[start : len(before) - end]), "\n".join(after[start : len(after) - end])

    def _replace(self, wanted: bytes, content: bytes) -> None:
        try:
            if self.file.read_bytes() != wanted:
                raise DataError(
                    f"{shown(self.file)} has been changed meanwhile: nothing was written.", hint="Try again."
                )
            if content != wanted:
                replace_file(self.file, content)
        except OSError as error:
            raise DataError(
                f"{shown(self.file)} can't be written: {error.strerror}.", hint="Make it writable."
            ) from error

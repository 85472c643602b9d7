"""Writing the files that a person names: reports, exports, answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.ground.errors import ProjectError


def write_output(file: Path, text: str) -> None:
    """Write a text to a file, over what was there.

    Raises:
        ProjectError: the file can't be written.
    """
    with writing(file):
        file.write_text(text, encoding="utf-8", newline="\n")


def refuse_unwritable(*files: Path) -> None:
    """Raise the error of writing these files before the work starts; their content stays.

    Raises:
        ProjectError: one of them can't be written.
    """
    for file in files:
        is_new = not file.exists()
        with writing(file):
            file.open("ab").close()
            if is_new:
                file.unlink()


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Turn the system's error of writing a file into one with a hint."""
    try:
        yield
    except OSError as error:
        missing = not file.absolute().parent.is_dir()
        hint = f"There is no folder {file.parent}; create it first." if missing else "Choose another path."
        raise ProjectError(f"{file} can't be written: {error.strerror or error}.", hint=hint) from error

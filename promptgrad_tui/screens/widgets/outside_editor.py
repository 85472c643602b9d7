"""A file or a text in the person's own editor, which borrows the terminal."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from engine.ground.errors import PromptGradError
from promptgrad_tui.work.machine.editor import editor_command


def edit_outside(app: App[Any], file: Path, line: int = 0) -> bool:
    """Open a file in $VISUAL or $EDITOR, at a line (from 1) where it takes one; False if that failed.

    Raises:
        PromptGradError: the terminal can't be lent, or there is no such editor.
    """
    command = editor_command(file, line)
    try:
        with app.suspend():
            done = subprocess.run(command, check=False)  # noqa: S603 - the person's own editor
    except SuspendNotSupported:
        raise PromptGradError(
            "This terminal can't be lent to an editor.", hint=f"Open {file} in another window."
        ) from None
    except OSError as error:
        raise PromptGradError(f"{command[0]}: {error.strerror}.", hint="Set $EDITOR.") from error
    return done.returncode == 0


def edit_text_outside(app: App[Any], text: str) -> str | None:
    """Let a person edit a text in their editor, and return it; None if that failed.

    Raises:
        PromptGradError: the terminal can't be lent, or there is no such editor.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rule.txt"
        file.write_text(text, encoding="utf-8")
        is_edited = edit_outside(app, file)
        return file.read_text(encoding="utf-8", errors="replace") if is_edited else None

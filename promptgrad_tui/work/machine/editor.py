"""The person's own editor, as a command that opens a file at a line."""

from __future__ import annotations

import os
import shlex
from pathlib import Path, PurePath

from engine.ground.errors import PromptGradError

_TAKE_A_LINE = {"vi", "vim", "nvim", "nano", "emacs", "micro", "kak", "joe", "ne", "jed", "mg"}
"""Editors to which +12 says that the cursor belongs on line 12."""


def editor_command(file: Path, line: int = 0) -> list[str]:
    """Return the command that opens a file in a person's editor, at a line (from 1) where it takes one.

    It is $VISUAL, $EDITOR, or else vi, on Windows notepad.

    Raises:
        PromptGradError: the variable isn't a command.
    """
    wanted = (os.environ.get(name, "").strip() for name in ("VISUAL", "EDITOR"))
    command = next(filter(None, wanted), "notepad" if os.name == "nt" else "vi")
    try:
        editor = _words(command)
    except ValueError as error:
        raise PromptGradError(
            f"Your editor is set to {command}: {error}.", hint="Set $VISUAL or $EDITOR to a command."
        ) from None
    at = [f"+{line}"] if line and PurePath(editor[0]).stem in _TAKE_A_LINE else []
    return [*editor, *at, str(file)]


def _words(command: str) -> list[str]:
    """Return a command's words; on Windows, a backslash is a part of a path."""
    if os.name == "nt":
        return [word.strip('"') for word in shlex.split(command, posix=False)]
    return shlex.split(command)

"""How a command on models shows its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.ground.errors import PromptGradError
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.ground.model import Progress

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def program_options(command: Decorated) -> Decorated:
    """Add the options of a command that takes long and that other programs run."""
    text = "Write progress, and an error, as JSON lines on stderr."
    return json_option(click.option("--json-progress", is_flag=True, help=text)(command))


@contextmanager
def progress(as_json: bool) -> Iterator[Progress]:
    """Show progress on stderr: for a person on a line of its own, for a program as lines of JSON."""
    from promptgrad_tui.views.progress_lines import ProgressLines
    from promptgrad_tui.views.status_line import StatusLine
    from promptgrad_tui.work.run.pace import with_pace

    terminal = Terminal.stderr()
    if not as_json:
        with StatusLine(terminal) as status:
            yield with_pace(status.show)
        return
    try:
        with ProgressLines(terminal.stream) as lines:
            yield lines.show
    except PromptGradError as error:  # reported already, as a line of JSON
        click.get_current_context().exit(error.exit_code)

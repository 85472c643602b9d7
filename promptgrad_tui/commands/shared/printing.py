"""How commands print their results: lines for a person, or JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import click

from promptgrad_tui.views.terminal import Terminal


def print_result(
    data: Callable[[], Any],
    lines: Callable[[Terminal], Iterable[str]],
    *,
    as_json: bool,
    indent: int | None = 2,
) -> None:
    """Print a result on stdout as JSON, or as lines that fit the terminal."""
    terminal = Terminal.stdout()
    if as_json:
        terminal.line(json.dumps(data(), indent=indent))
    else:
        terminal.lines(lines(terminal))


def end(exit_code: int) -> NoReturn:
    """End the command with an exit code."""
    click.get_current_context().exit(exit_code)

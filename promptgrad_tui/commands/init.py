"""`promptgrad init`: a project to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "init",
    short_help="Write a commented project to start from.",
    cls=Command,
    examples=["promptgrad init mine", "promptgrad check mine"],
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init_command(folder: Path) -> None:
    """Write a new project into DIR: commented, working, and ready to be changed.

    Existing files are never overwritten.
    """
    from promptgrad_tui.work.run.init_project import init_project

    for path in init_project(folder):
        Terminal.stdout().line(str(path))
    terminal = Terminal.stderr()
    terminal.line(f"Edit {folder / 'promptgrad.toml'}, then: promptgrad check {shlex.quote(str(folder))}")

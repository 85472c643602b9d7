"""`promptgrad init` and `check`: a project to begin with, and a look at it before anything is spent."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.terminal import Terminal


@click.command(
    "init",
    short_help="Write a commented project to start from.",
    cls=Command,
    examples=["promptgrad init mine", "promptgrad run mine"],
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init_command(folder: Path) -> None:
    """Write a new project into DIR: commented, working, and ready to be changed.

    Nothing that exists is ever overwritten.
    """
    from promptgrad_tui.init_project import init_project

    for path in init_project(folder):
        click.echo(path)
    terminal = Terminal.stderr()
    terminal.line(f"Look at {folder / 'promptgrad.toml'}, then: promptgrad check {folder}")


@click.command(
    "check",
    short_help="Look at everything before the first call.",
    cls=Command,
    examples=["promptgrad check", "promptgrad check mine --no-probe"],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--no-probe", is_flag=True, help="Don't call the model: skip the measured estimate.")
@click.pass_obj
def check_command(context: CommandContext, project: Path | None, no_probe: bool) -> None:
    """Validate the PROJECT (by default that of the current folder) before a run spends anything.

    Files, fields, splits, leakage between them, the metric, the model, the longest example's
    tokens against the context; then an estimate of calls, tokens and minutes from a few measured
    rollouts.
    """
    from promptgrad_tui.display.status_line import StatusLine
    from promptgrad_tui.findings import tell
    from promptgrad_tui.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.preflight import inspect_project

    with StatusLine(Terminal.stderr()) as status:
        findings = inspect_project(project or context.project, probes=not no_probe, on_progress=status.show)
        exit_code = tell(findings, Terminal.stdout())
    click.get_current_context().exit(exit_code)

"""`promptgrad doctor`: whether everything on this machine works."""

from __future__ import annotations

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.terminal import Terminal


@click.command(
    "doctor",
    short_help="Check what is installed and what works.",
    cls=Command,
    examples=["promptgrad doctor"],
)
@click.pass_obj
def doctor_command(context: CommandContext) -> None:
    """Check what is installed and what works, and say what to do about what doesn't.

    Ends with exit code 1 if something that PromptGrad needs is broken.
    """
    from promptgrad_tui.doctor import examine
    from promptgrad_tui.findings import tell

    click.get_current_context().exit(tell(examine(context.project), Terminal.stdout()))

"""`promptgrad doctor`: whether everything on this machine works."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "doctor",
    short_help="Check what is installed and what works.",
    cls=Command,
    examples=["promptgrad doctor", "promptgrad doctor --json | jq '.findings[] | select(.level != \"ok\")'"],
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def doctor_command(context: CommandContext, as_json: bool) -> None:
    """Check what is installed and what works, and say what to do about what doesn't.

    Ends with exit code 1 if something that PromptGrad needs is broken.
    """
    from promptgrad_tui.work.check.findings import exit_code_of, tell
    from promptgrad_tui.work.machine.doctor import examine

    terminal = Terminal.stdout()
    if not as_json:
        click.get_current_context().exit(tell(examine(context.project), terminal))
    findings = list(examine(context.project))
    terminal.line(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    click.get_current_context().exit(exit_code_of(findings))

"""`promptgrad doctor`: whether everything on this machine works."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.printing import end
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "doctor",
    short_help="Check what is installed and what works.",
    cls=Command,
    examples=["promptgrad doctor", "promptgrad doctor --json | jq '.findings[] | select(.level != \"ok\")'"],
)
@json_option
@click.pass_obj
def doctor_command(context: CommandContext, as_json: bool) -> None:
    """Check what is installed and what works, and say how to fix what doesn't.

    The exit code is 1 if something that PromptGrad needs is broken.
    """
    from promptgrad_tui.views.findings import exit_code_of, show_findings
    from promptgrad_tui.work.machine.doctor import examine

    terminal = Terminal.stdout()
    if not as_json:
        end(show_findings(examine(context.project), terminal))
    findings = list(examine(context.project))
    terminal.line(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    end(exit_code_of(findings))

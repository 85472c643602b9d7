"""`promptgrad gate`: does an artifact pass the gates of its project?"""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.paths import ARTIFACT
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "gate",
    short_help="Put a saved artifact to the project's gates.",
    cls=Command,
    examples=[
        "promptgrad gate artifacts/desk/1f0c5a2b77aa/v1",
        "promptgrad gate artifacts/desk/1f0c5a2b77aa/v1 --format junit > gates.xml",
    ],
)
@click.argument("artifact", type=ARTIFACT)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "markdown", "junit")),
    default="text",
    show_default=True,
    help="How the verdicts are told.",
)
@click.pass_obj
def gate_command(context: CommandContext, artifact: Path, form: str) -> None:
    """Put a saved ARTIFACT to the [gates] of its project, as they are now.

    Nothing is measured anew: the artifact holds what it came to on the sealed test split, example by
    example. Ends with exit code 1 if a gate fails.
    """
    from promptgrad_tui.work.release import gating

    judged = gating.judge(artifact, context.project)
    terminal = Terminal.stdout()
    if form == "text":
        for line in gating.gate_lines(judged, terminal):
            terminal.line(line)
    else:
        tell = {"json": gating.gate_json, "markdown": gating.gate_markdown, "junit": gating.gate_junit}[form]
        terminal.line(tell(judged))
    click.get_current_context().exit(0 if judged.report.passed else 1)

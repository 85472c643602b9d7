"""`promptgrad gate`: whether an artifact passes the gates of its project."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.commands.shared.printing import end
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "gate",
    short_help="Test a saved artifact against the project's gates.",
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
    help="The format of the verdicts.",
)
@click.pass_obj
def gate_command(context: CommandContext, artifact: Path, form: str) -> None:
    """Test a saved ARTIFACT against the [gates] of its project, as they are now.

    Nothing is measured again: the artifact holds its results on the sealed test split, example by
    example. The exit code is 1 if a gate fails.
    """
    from promptgrad_tui.views.gates import judged_json, judged_junit, judged_lines, judged_markdown
    from promptgrad_tui.work.release.gating import judge

    judged = judge(artifact, context.project)
    terminal = Terminal.stdout()
    if form == "text":
        terminal.lines(judged_lines(judged, terminal))
    else:
        render = {"json": judged_json, "markdown": judged_markdown, "junit": judged_junit}[form]
        terminal.line(render(judged))
    end(0 if judged.report.passed else 1)

"""`promptgrad promote`: make an artifact the current one."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "promote",
    short_help="Make an artifact the current one.",
    cls=Command,
    examples=[
        "promptgrad promote artifacts/desk/1f0c5a2b77aa/v2",
        'promptgrad promote artifacts/desk/1f0c5a2b77aa/v2 --force --reason "refunds are off until May"',
    ],
)
@click.argument("artifact", type=ARTIFACT)
@click.option("--force", is_flag=True, help="Promote it even if it fails a gate; needs --reason.")
@click.option("--reason", default="", help="Why; recorded in the artifact's manifest and in the history.")
@click.pass_obj
def promote_command(context: CommandContext, artifact: Path, force: bool, reason: str) -> None:
    """Make ARTIFACT the current one for its program version and model revision.

    It must pass the project's gates as they are now.
    """
    from engine.release.releases import promote
    from promptgrad_tui.work.release.gating import judge

    if force and not reason.strip():
        raise click.UsageError('--force needs --reason "...": it is recorded.')
    judged = judge(artifact, context.project)
    switch = promote(artifact, judged.report, force=force, reason=reason)
    before = f"; before: {switch.previous}" if switch.previous else ""
    Terminal.stdout().line(f"Current in {switch.cell}: {switch.artifact}{before}")

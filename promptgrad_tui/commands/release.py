"""`promptgrad matrix`, `promote`, `rollback` and `history`: what there is, and what is current."""

from __future__ import annotations

import json
from pathlib import Path

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.paths import ARTIFACT
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "matrix",
    short_help="List artifacts by program version and model revision.",
    cls=Command,
    examples=["promptgrad matrix", "promptgrad matrix --json | jq '.[] | select(.current)'"],
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.pass_obj
def matrix_command(context: CommandContext, as_json: bool) -> None:
    """List the project's artifacts: program version by exact model revision.

    Each with its test score and interval, the gates' verdict, its rules and its date; `*` marks the
    current one of its cell. An artifact is stale if the program, the data or the metric has changed
    since; what has changed is named. What `promptgrad transfer` measured on another model stands in
    that model's cell, and can't be loaded there.
    """
    from promptgrad_tui.views.releases import matrix_lines
    from promptgrad_tui.work.release.project_matrix import project_matrix
    from promptgrad_tui.work.run.job import open_project

    matrix = project_matrix(open_project(context.project, {}))
    terminal = Terminal.stdout()
    if as_json:
        terminal.line(json.dumps(matrix.as_list(), indent=2))
        return
    terminal.lines(matrix_lines(matrix, terminal))


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
@click.option("--force", is_flag=True, help="Promote it although it fails a gate; needs --reason.")
@click.option("--reason", default="", help="Why; it stays in the artifact's manifest and in the history.")
@click.pass_obj
def promote_command(context: CommandContext, artifact: Path, force: bool, reason: str) -> None:
    """Make ARTIFACT the current one for its program version and model revision.

    It has to pass the project's gates as they are now.
    """
    from engine.release.releases import promote
    from promptgrad_tui.work.release.gating import judge

    if force and not reason.strip():
        raise click.UsageError('--force needs --reason "...": it is recorded.')
    judged = judge(artifact, context.project)
    switch = promote(artifact, judged.report, force=force, reason=reason)
    before = f", before it {switch.previous}" if switch.previous else ""
    Terminal.stdout().line(f"Current in {switch.cell}: {switch.artifact}{before}")


@click.command(
    "rollback",
    short_help="Make the artifact before the current one current again.",
    cls=Command,
    examples=["promptgrad rollback", "promptgrad rollback artifacts/desk/1f0c5a2b77aa/v2"],
)
@click.argument("artifact", required=False, type=ARTIFACT)
@click.pass_obj
def rollback_command(context: CommandContext, artifact: Path | None) -> None:
    """Make the artifact before the current one current again.

    ARTIFACT, one of the cell that is meant, is needed where several cells have a current artifact.
    """
    from engine.ground.errors import ArtifactError
    from engine.release.manifest import load_manifest
    from engine.release.releases import cell_of, load_releases, roll_back, root_of

    root = root_of(artifact) if artifact else context.project / "artifacts"
    current = load_releases(root).current
    if artifact is not None:
        cell = cell_of(load_manifest(artifact))
    elif len(current) == 1:
        [cell] = current
    else:
        listed = ", ".join(current.values()) or "none"
        raise ArtifactError(
            f"Which one? Current are: {listed}.", hint="Name it: promptgrad rollback ARTIFACT"
        )
    switch = roll_back(root, cell)
    Terminal.stdout().line(f"Current in {switch.cell}: {switch.artifact}")


@click.command(
    "history",
    short_help="Tell every switch of what is current.",
    cls=Command,
    examples=["promptgrad history", "promptgrad history --json"],
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.pass_obj
def history_command(context: CommandContext, as_json: bool) -> None:
    """Tell every promotion and rollback, the oldest first, with the reasons of forced ones."""
    from engine.release.releases import load_releases
    from promptgrad_tui.views.releases import switch_lines

    history = load_releases(context.project / "artifacts").history
    terminal = Terminal.stdout()
    if as_json:
        terminal.line(json.dumps([switch.model_dump(mode="json") for switch in history], indent=2))
        return
    terminal.lines(switch_lines(history, terminal))

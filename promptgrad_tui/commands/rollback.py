"""`promptgrad rollback`: make the previous artifact current again."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "rollback",
    short_help="Make the previous artifact current again.",
    cls=Command,
    examples=["promptgrad rollback", "promptgrad rollback artifacts/desk/1f0c5a2b77aa/v2"],
)
@click.argument("artifact", required=False, type=ARTIFACT)
@click.pass_obj
def rollback_command(context: CommandContext, artifact: Path | None) -> None:
    """Make the previous artifact current again.

    If several cells of the matrix have a current artifact, name any ARTIFACT of the cell that you mean.
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
    elif current:
        listed = ", ".join(current.values())
        raise ArtifactError(
            f"Several cells have a current artifact: {listed}.", hint="Name one: promptgrad rollback ARTIFACT"
        )
    else:
        raise ArtifactError("No artifact is current.", hint="Make one current: promptgrad promote ARTIFACT")
    switch = roll_back(root, cell)
    Terminal.stdout().line(f"Current in {switch.cell}: {switch.artifact}")

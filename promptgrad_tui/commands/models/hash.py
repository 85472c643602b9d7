"""`promptgrad models hash`: the exact revision of a model."""

from __future__ import annotations

import json

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "hash",
    cls=Command,
    short_help="Compute the exact revision of a model.",
    examples=["promptgrad models hash gguf:/models/qwen3-4b-q4_k_m.gguf"],
)
@click.argument("uri")
@program_options
@click.pass_obj
def hash_command(context: CommandContext, uri: str, as_json: bool, json_progress: bool) -> None:
    """Compute the exact revision of a model: a file's SHA-256, or what a server says it is.

    A file is read once; its hash is remembered until the file changes.
    """
    from models.opening import read_revision

    with progress(json_progress) as report:
        revision = read_revision(uri, project_dir=context.project.absolute(), on_progress=report)
    data = {"uri": uri, "revision": revision.digest, "verified": revision.verified}
    Terminal.stdout().line(json.dumps(data) if as_json else revision.digest)

"""`promptgrad transfer`: an artifact on another model."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "transfer",
    short_help="Measure an artifact on another model.",
    cls=Command,
    examples=["promptgrad transfer artifacts/desk/1f0c5a2b77aa/v1 --to ollama:llama3.2:3b"],
)
@click.argument("artifact", type=ARTIFACT)
@click.option("--to", "uri", required=True, metavar="URI", help="The other model.")
@json_option
@click.pass_obj
def transfer_command(context: CommandContext, artifact: Path, uri: str, as_json: bool) -> None:
    """Score the rules of ARTIFACT on the test split with another model.

    This is only a measurement: the artifact still belongs to its own model and can't be loaded for
    the other one. Even if the rules help there too, run `promptgrad compile` for that model. The
    test split is opened once more, and that is counted.
    """
    from promptgrad_tui.views.artifacts.measurement import transfer_json, transfer_lines
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.measure.measuring import transfer

    found = transfer(artifact, uri, context.project)
    print_result(
        lambda: transfer_json(found),
        lambda terminal: transfer_lines(found, terminal),
        as_json=as_json,
        indent=None,
    )

"""`promptgrad models show`: all that a model says about itself."""

from __future__ import annotations

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "show",
    cls=Command,
    short_help="Show all that a model says about itself.",
    examples=["promptgrad models show demo", "promptgrad models show ollama:qwen3:4b --json"],
)
@click.argument("uri")
@program_options
@click.pass_obj
def show_command(context: CommandContext, uri: str, as_json: bool, json_progress: bool) -> None:
    """Show a model's files, the memory that it needs, its metadata and its chat template.

    Nothing is loaded. The model is a URI as `promptgrad models` lists it.
    """
    from models.catalog.describing import describe_model
    from promptgrad_tui.views.models import description_lines

    with progress(json_progress):
        description = describe_model(uri, context.project.absolute())
    print_result(
        description.as_dict,
        lambda terminal: description_lines(description, terminal),
        as_json=as_json,
        indent=None,
    )

"""`promptgrad models free`: take a model out of memory."""

from __future__ import annotations

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "free",
    cls=Command,
    short_help="Take a model out of memory.",
    examples=["promptgrad models free ollama:qwen3:4b", "promptgrad models free demo --stop-runs"],
)
@click.argument("uri")
@click.option("--stop-runs", is_flag=True, help="Stop the runs that hold it in process; you can resume them.")
@program_options
@click.pass_obj
def free_command(
    context: CommandContext, uri: str, stop_runs: bool, as_json: bool, json_progress: bool
) -> None:
    """Take a model out of memory; nothing is ever deleted from the disk.

    Ollama is asked to unload its model. A model in process belongs to the runs that have it open, in
    this project and in projects opened recently: they are listed, and stopped with --stop-runs.
    """
    from promptgrad_tui.views.models import freed_lines
    from promptgrad_tui.work.machine.model_freeing import free_model

    with progress(json_progress):
        freed = free_model(uri, context.project.absolute(), stops_runs=stop_runs)
    print_result(freed.as_dict, lambda _: freed_lines(freed), as_json=as_json, indent=None)

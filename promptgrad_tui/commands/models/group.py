"""`promptgrad models`: the models that can be used here."""

from __future__ import annotations

import click

from promptgrad_tui.commands.models.free import free_command
from promptgrad_tui.commands.models.hash import hash_command
from promptgrad_tui.commands.models.measure import measure_command
from promptgrad_tui.commands.models.pull import pull_command
from promptgrad_tui.commands.models.show import show_command
from promptgrad_tui.commands.shared.command import Group
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.printing import print_result


@click.group(
    "models",
    cls=Group,
    short_help="List the models that can be used here; hash, measure, free, pull.",
    invoke_without_command=True,
    examples=["promptgrad models", "promptgrad models --json", "promptgrad models pull ollama:qwen3:4b"],
)
@json_option
@click.pass_context
def models_command(ctx: click.Context, as_json: bool) -> None:
    """List the models that can be used here.

    These are the demo model, GGUF files in the project and in the usual folders
    (PROMPTGRAD_MODELS, LM Studio, Hugging Face, Ollama's store), the models of a running Ollama
    server, and those of the servers that the project names. The first line of each is the value for
    [model] task. A revision is the hash of a model's content; `-` means that it is computed at first
    use, or by `promptgrad models hash`.
    """
    if ctx.invoked_subcommand is not None:
        return
    from promptgrad_tui.views.models import model_lines
    from promptgrad_tui.work.machine.model_listing import list_models

    listed = list_models(ctx.obj.project.absolute())
    print_result(listed.as_dict, lambda terminal: model_lines(listed, terminal), as_json=as_json, indent=None)


for _command in (show_command, hash_command, pull_command, measure_command, free_command):
    models_command.add_command(_command)

"""`promptgrad models measure`: a model's speed on this machine."""

from __future__ import annotations

import json

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "measure",
    cls=Command,
    short_help="Measure how fast a model is on this machine.",
    examples=["promptgrad models measure demo", "promptgrad models measure ollama:qwen3:4b --sequences 4"],
)
@click.argument("uri")
@click.option(
    "--sequences",
    type=click.IntRange(2, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Requests at a time.",
)
@program_options
@click.pass_obj
def measure_command(
    context: CommandContext, uri: str, sequences: int, as_json: bool, json_progress: bool
) -> None:
    """Measure a model's prompt and answer tokens per second, alone and with several requests.

    The result is remembered for this exact revision on this machine, and listed. Close other
    programs while it runs.
    """
    from promptgrad_tui.views.model_text import speed_text
    from promptgrad_tui.work.machine.model_speed import measure_model

    with progress(json_progress) as report:
        measured = measure_model(uri, context.project.absolute(), sequences, report)
    Terminal.stdout().line(
        json.dumps({"uri": uri, **measured.as_dict()}) if as_json else speed_text(measured)
    )

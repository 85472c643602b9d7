"""`promptgrad data pull`: the files of a dataset's splits, at one exact revision."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import comma_separated
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "pull",
    cls=Command,
    short_help="Download the files of a dataset's splits from Hugging Face.",
    examples=[
        "promptgrad data pull hf://OWNER/NAME --split train,test",
        "promptgrad data pull hf://OWNER/NAME@REVISION --split train --config english",
    ],
)
@click.argument("source", metavar="hf://OWNER/NAME[@REVISION]")
@click.option(
    "--split",
    "splits",
    required=True,
    callback=comma_separated("split"),
    metavar="NAME,NAME,...",
    help="Which splits, separated by commas.",
)
@click.option(
    "--config", default="", metavar="NAME", help="Which configuration, where the dataset has several."
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder for the files; by default `data` in the project.",
)
@program_options
@click.pass_obj
def pull_command(
    context: CommandContext,
    source: str,
    splits: tuple[str, ...],
    config: str,
    to: Path | None,
    as_json: bool,
    json_progress: bool,
) -> None:
    """Download the files of a dataset's splits, and print the lines for promptgrad.toml.

    The exact revision is noted beside the files, in source.json: with it, the same command brings the same
    files. After that they are files like any others; nothing connects to the internet again.
    """
    from engine.ground.paths import relative_path
    from models.catalog.hub import hub_host
    from models.catalog.hub_dataset import dataset_name, pull_dataset

    dataset_name(source)
    folder = to or context.project / "data"
    with progress(json_progress) as report:
        if not json_progress:
            Terminal.stderr().line(f"Reaching out to {hub_host()}.")
        pulled = pull_dataset(source, splits, folder, config=config, report=report)
    terminal = Terminal.stdout()
    if as_json:
        terminal.line(json.dumps(asdict(pulled)))
        return
    terminal.line(f"# hf://{pulled.repository}@{pulled.revision}")
    terminal.line("[data]")
    for split, files in pulled.files.items():
        named = ", ".join(Path(relative_path(Path(file), context.project)).as_posix() for file in files)
        terminal.line(f"{split} = {json.dumps(named)}")

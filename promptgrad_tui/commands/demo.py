"""`promptgrad demo`: a whole run on the embedded model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.full_screen import start_run
from promptgrad_tui.commands.shared.options import SEED, output_options
from promptgrad_tui.commands.shared.printing import end


@click.command(
    "demo",
    short_help="Watch a whole run on the embedded model.",
    cls=Command,
    examples=["promptgrad demo", "promptgrad demo --dir /tmp/desk --seed 3 --json"],
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="A new folder; by default ./promptgrad-demo."
)
@click.option(
    "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Seed of the data and of the run."
)
@output_options
@click.pass_context
def demo_command(
    ctx: click.Context, folder: Path | None, seed: int, as_json: bool, plain: bool, quiet: bool
) -> None:
    """Write the demo project into a new folder and run it on the embedded model.

    A support desk routes tickets by a policy that its prompt doesn't mention; the run learns the
    policy's rules from the failures. It needs no network and takes about half a minute.
    """
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.demo_folder import write_demo

    project = write_demo(folder, seed)
    ctx.obj = replace(ctx.obj, project=project)  # what the hint of an error says to type names this folder
    end(start_run(project, {}, seed, Budget(), as_json=as_json, plain=plain, quiet=quiet))

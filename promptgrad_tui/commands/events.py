"""`promptgrad events`: a run's events as they are in the journal."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import RUN_HELP


@click.command(
    "events",
    short_help="Print a run's events as JSON lines.",
    epilog=RUN_HELP,
    cls=Command,
    examples=["promptgrad events last | jq 'select(.kind == \"validation\") | .rule.text'"],
)
@click.argument("run")
@click.pass_obj
def events_command(context: CommandContext, run: str) -> None:
    """Print a run's events as JSON lines, in order."""
    with reading(context) as journal:
        record = journal.run(run)
        for _, event in journal.events(record.id):
            click.echo(event.model_dump_json())

"""`promptgrad runs name`: give a run a name and a note."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import RUN_HELP


@click.command(
    "name",
    cls=Command,
    short_help="Give a run a name and a note.",
    epilog=RUN_HELP,
    examples=[
        "promptgrad runs name last 'with demonstrations'",
        "promptgrad runs name last --note 'before the new labels'",
        "promptgrad show 'with demonstrations'",
    ],
)
@click.argument("run")
@click.argument("name", required=False)
@click.option("--note", help="A note that the start page and `runs --json` show.")
@click.pass_obj
def name_command(context: CommandContext, run: str, name: str | None, note: str | None) -> None:
    """Give a run a name, which every command takes in place of its id, or a note; an empty one removes it."""
    from engine.journal.journal import journal_path
    from engine.journal.run_labels import label_run

    if name is None and note is None:
        raise click.UsageError("Give a name, or --note.")
    with reading(context) as journal:
        record = journal.run(run)
    label_run(journal_path(context.project), record.id, name=name, note=note)
    given = [f"name {name!r}"] if name is not None else []
    given += [f"note {note!r}"] if note is not None else []
    click.echo(f"{record.id}: {', '.join(given)}")

"""`promptgrad runs delete`: delete a run from the journal."""

from __future__ import annotations

import sys

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import RUN_HELP


@click.command(
    "delete",
    cls=Command,
    short_help="Delete a run.",
    epilog=RUN_HELP,
    examples=["promptgrad runs delete 20261121-0401", "promptgrad runs delete last --yes"],
)
@click.argument("run")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def delete_command(context: CommandContext, run: str, yes: bool) -> None:
    """Delete a run: its events, decisions, logs and drafts.

    Its artifacts stay, other runs still know its answers, and the test splits that it opened stay
    counted. A run that a process works on can't be deleted.
    """
    from engine.journal.journal import Journal, journal_path
    from engine.journal.run_labels import delete_run
    from promptgrad_tui.views.run.in_list import DELETED

    with Journal.open(journal_path(context.project)) as journal:
        record = journal.run(run)
        if not yes:
            click.echo(DELETED)
            _ask(f"Delete {record.name or record.id}?")
        delete_run(journal, record.id)
    click.echo(f"{record.id} is deleted.")


def _ask(question: str) -> None:
    """End the command unless a person, or a pipe, says yes."""
    try:
        click.confirm(question, abort=True)
    except click.Abort as aborted:
        if sys.stdin.isatty():
            raise
        text = "Nothing was deleted: nobody said yes. --yes deletes without asking."
        raise click.UsageError(text) from aborted

"""`promptgrad history`: every promotion and rollback."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_list_option
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "history",
    short_help="List every promotion and rollback.",
    cls=Command,
    examples=["promptgrad history", "promptgrad history --json"],
)
@json_list_option
@click.pass_obj
def history_command(context: CommandContext, as_json: bool) -> None:
    """List every promotion and rollback, oldest first, with the reasons of forced ones."""
    from engine.release.releases import load_releases
    from promptgrad_tui.views.artifacts.releases import switch_lines

    history = load_releases(context.project / "artifacts").history
    print_result(
        lambda: [switch.model_dump(mode="json") for switch in history],
        lambda terminal: switch_lines(history, terminal),
        as_json=as_json,
    )

"""`promptgrad data`: examples from elsewhere."""

from __future__ import annotations

import click

from promptgrad_tui.commands.data.pull import pull_command
from promptgrad_tui.commands.shared.command import Group


@click.group(
    "data",
    cls=Group,
    short_help="Get a dataset.",
    examples=["promptgrad data pull hf://OWNER/NAME --split train,test"],
)
def data_command() -> None:
    """Get examples from elsewhere."""


data_command.add_command(pull_command)

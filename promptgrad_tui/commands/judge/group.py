"""`promptgrad judge`: people grade answers, and the judge is measured by that."""

from __future__ import annotations

import click

from promptgrad_tui.commands.judge.answers import answers_command
from promptgrad_tui.commands.judge.check import check_command
from promptgrad_tui.commands.judge.label import label_command
from promptgrad_tui.commands.shared.command import Group


@click.group(
    "judge",
    cls=Group,
    short_help="Grade answers, and measure the judge by your grades.",
    examples=["promptgrad judge label", "promptgrad judge check"],
)
def judge_command() -> None:
    """Grade answers yourself, and measure by your grades whether the judge can be trusted.

    A judge is the model that a metric asks about answers that have no single right wording. Its scores
    are worth what its agreement with people is worth.
    """


judge_command.add_command(label_command)
judge_command.add_command(answers_command)
judge_command.add_command(check_command)

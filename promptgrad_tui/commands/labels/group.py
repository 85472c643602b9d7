"""`promptgrad labels`: the labels that a run doubts, and what to do about each."""

from __future__ import annotations

from typing import Any

import click

from promptgrad_tui.commands.labels.change import (
    correct_command,
    exclude_command,
    open_command,
    undo_command,
)
from promptgrad_tui.commands.labels.reading import decisions_of
from promptgrad_tui.commands.shared.command import Group
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.printing import print_result


@click.group(
    "labels",
    cls=Group,
    invoke_without_command=True,
    short_help="Show labels that are probably wrong; correct or exclude them.",
    examples=["promptgrad labels", "promptgrad labels open 1", "promptgrad labels correct 1"],
)
@click.option(
    "--run",
    default="last",
    show_default=True,
    metavar="RUN",
    help="The run: its id, part of it, or `last`.",
)
@json_option
@click.pass_context
def labels_command(ctx: click.Context, run: str, as_json: bool) -> None:
    """Show the examples that every version of a run answered otherwise than they expect.

    Where the model is sure of one other answer, the label is probably wrong. Without a command, they are
    listed with their numbers. The data file and promptgrad.toml keep their comments and their order, and
    the next run says what has changed.
    """
    ctx.meta["run"] = run
    if ctx.invoked_subcommand is not None:
        return
    from promptgrad_tui.views.labels.doubted import decided_text, listed_lines

    decisions = decisions_of(ctx)

    def data() -> dict[str, Any]:
        rows = [
            {"number": one.number, "state": one.state, **one.label.model_dump(mode="json")}
            for one in decisions.rows
        ]
        return {"run": decisions.run, "labels": rows}

    print_result(
        data,
        lambda terminal: listed_lines(
            decisions.run, [(one.label, decided_text(one.state, one.now)) for one in decisions.rows], terminal
        ),
        as_json=as_json,
    )


for _command in (open_command, correct_command, exclude_command, undo_command):
    labels_command.add_command(_command)

"""`promptgrad matrix`: artifacts by program version and model revision."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_list_option
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "matrix",
    short_help="List artifacts by program version and model revision.",
    cls=Command,
    examples=["promptgrad matrix", "promptgrad matrix --json | jq '.[] | select(.current)'"],
)
@json_list_option
@click.pass_obj
def matrix_command(context: CommandContext, as_json: bool) -> None:
    """List the project's artifacts by program version and exact model revision.

    Each is shown with its test score and interval, the gates' verdict, its rules and its date; `*`
    marks the current one of its cell. An artifact is stale if the program, the data or the metric
    has changed since; what has changed is named. What `promptgrad transfer` measured on another
    model is in that model's cell, and can't be loaded there. The routers that `promptgrad route` saved
    follow.
    """
    from promptgrad_tui.views.artifacts.releases import matrix_lines
    from promptgrad_tui.work.opening import open_project
    from promptgrad_tui.work.release.project_matrix import project_matrix

    matrix = project_matrix(open_project(context.project, {}))
    print_result(matrix.as_list, lambda terminal: matrix_lines(matrix, terminal), as_json=as_json)

"""`promptgrad compare`: two runs or artifacts side by side."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "compare",
    short_help="Compare two runs or artifacts, example by example.",
    epilog="BEFORE and AFTER are a run's id, part of it, `last`, or an artifact's folder. "
    "One of them may be `baseline`: the other's program without rules.",
    cls=Command,
    examples=[
        "promptgrad compare baseline last",
        "promptgrad compare 20261121 last --show broken",
        "promptgrad compare artifacts/desk/1f0c5a2b77aa/v1 artifacts/desk/1f0c5a2b77aa/v2 --json",
    ],
)
@click.argument("before")
@click.argument("after")
@click.option(
    "--show",
    type=click.Choice(["all", "fixed", "broken", "failing", "same"]),
    help="Which examples to show; by default the fixed and the broken ones, or all of them as JSON.",
)
@json_option
@click.pass_obj
def compare_command(
    context: CommandContext, before: str, after: str, show: str | None, as_json: bool
) -> None:
    """Compare the programs BEFORE and AFTER: scores, rules, prompts and answers.

    It shows scores with their intervals, the paired gain on the examples that both answered, the
    rules added and removed, the prompt as a diff, and what changed for each example. Everything is
    read from the journal and the artifacts: nothing is run, and the test split stays closed.
    """
    from promptgrad_tui.views.comparison.changes import CHANGED, CHANGES
    from promptgrad_tui.views.comparison.data import comparison_json
    from promptgrad_tui.views.comparison.lines import comparison_lines
    from promptgrad_tui.work.compare.comparison import read_comparison

    found = read_comparison(context.project, before, after)
    wanted = [name for name in CHANGES if show in (name, "all")]
    print_result(
        lambda: comparison_json(found, wanted or list(CHANGES)),
        lambda terminal: comparison_lines(found, wanted or CHANGED, terminal),
        as_json=as_json,
    )

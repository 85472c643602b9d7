"""`promptgrad compare`: two runs or artifacts side by side."""

from __future__ import annotations

import json

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "compare",
    short_help="Compare two runs or artifacts, example by example.",
    epilog="BEFORE and AFTER are a run's id, a part of it, `last`, or an artifact's folder. "
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
    help="Which examples to show; by default, as lines the fixed and the broken ones, as JSON all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compare_command(
    context: CommandContext, before: str, after: str, show: str | None, as_json: bool
) -> None:
    """Compare the programs BEFORE and AFTER: scores, rules, prompts and answers.

    It shows scores with their intervals, the paired gain on the examples that both answered, rules
    that came and went, the prompt as a diff, and what became of each example. Everything is read
    from the journal and the artifacts: nothing is run, and the test split stays closed.
    """
    from promptgrad_tui.views.comparison.changes import CHANGED, CHANGES
    from promptgrad_tui.views.comparison.data import comparison_json
    from promptgrad_tui.views.comparison.lines import comparison_lines
    from promptgrad_tui.work.compare.comparison import read_comparison

    found = read_comparison(context.project, before, after)
    terminal = Terminal.stdout()
    wanted = [name for name in CHANGES if show in (name, "all")]
    if as_json:
        terminal.line(json.dumps(comparison_json(found, wanted or list(CHANGES)), indent=2))
        return
    terminal.lines(comparison_lines(found, wanted or CHANGED, terminal))

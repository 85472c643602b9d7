"""`promptgrad pareto`: score against tokens and time."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import RUN_HELP, json_list_option
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "pareto",
    short_help="Show score against tokens and time.",
    epilog=f"{RUN_HELP} An artifact's folder does as well. Without one: the last run.",
    cls=Command,
    examples=[
        "promptgrad pareto",
        "promptgrad pareto 20261121 last --json | jq '.[] | select(.is_on_front)'",
    ],
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@json_list_option
@click.pass_obj
def pareto_command(context: CommandContext, runs: tuple[str, ...], as_json: bool) -> None:
    """Show which candidates of one or several RUNs or artifacts are worth their cost.

    A candidate is a state of the program that was scored on all of validation, in a contest also
    what each method made. One is dominated if another scores no worse, takes no more prompt tokens,
    answer tokens and time, and is better in something. Everything is read from the journal.
    """
    from engine.release.objectives.candidates import comparable
    from engine.release.objectives.front import front
    from promptgrad_tui.views.pareto import pareto_data, pareto_lines

    below = [context.project / run if (context.project / run).is_dir() else run for run in runs]
    with reading(context) as journal:
        placed = front(comparable(journal, [str(name) for name in below] or ["last"]))
    print_result(
        lambda: pareto_data(placed), lambda terminal: pareto_lines(placed, terminal), as_json=as_json
    )

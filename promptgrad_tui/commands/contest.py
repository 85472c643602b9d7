"""`promptgrad contest`: optimizers compared at the same budget."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from engine.project.methods import Contestant, ContestPlan, MethodName
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import SEED, comma_separated, finite_minutes, set_option
from promptgrad_tui.commands.shared.printing import end

_KNOWN: tuple[Contestant, ...] = ("promptgrad", *get_args(MethodName))
_CALLS = 500


@click.command(
    "contest",
    short_help="Compare optimizers at the same budget.",
    cls=Command,
    examples=[
        "promptgrad contest",
        "promptgrad contest mine --with promptgrad,labeled_few_shot,mipro_v2 --calls 300 --seeds 1",
        "promptgrad contest mine --minutes 10 --json > contest.json",
    ],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option(
    "--with",
    "methods",
    callback=comma_separated("method", _KNOWN, may_be_empty=True),
    metavar="NAME,NAME,...",
    help=f"Who takes part, separated by commas: {', '.join(_KNOWN)}. By default a usual selection.",
)
@click.option(
    "--calls",
    type=click.IntRange(1),
    metavar="N",
    help=f"Model calls for each method and seed; {_CALLS} by default.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    metavar="MINUTES",
    callback=finite_minutes,
    help="In place of --calls: as many calls as the model answers in that time.",
)
@click.option(
    "--seeds", type=click.IntRange(1, 20), default=3, show_default=True, metavar="N", help="Seeds per method."
)
@click.option("--seed", type=SEED, metavar="N", help="The first seed.")
@set_option("contest")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout at the end.")
@click.pass_obj
def contest_command(
    context: CommandContext,
    project: Path | None,
    methods: tuple[Contestant, ...],
    calls: int | None,
    minutes: float | None,
    seeds: int,
    seed: int | None,
    overrides: dict[str, str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare optimizers on the PROJECT: the same model, splits and budget for each.

    Methods are ranked by validation. The test split is opened once for all of them, and the
    intervals of their differences hold for all comparisons together. What each method made is saved
    as an artifact. Started again after an interruption, a contest goes on and pays for nothing twice.
    """
    from promptgrad_tui.work.run.contest import contestants, hold_contest
    from promptgrad_tui.work.run.headless import Output

    if calls is not None and minutes is not None:
        raise click.UsageError("--calls and --minutes can't be combined: the budget is one of the two.")
    wanted = ContestPlan(
        methods=contestants(methods),
        seeds=seeds,
        calls=(calls or _CALLS) if minutes is None else None,
        minutes=minutes,
    )
    output = Output(as_json=as_json, quiet=quiet)
    end(hold_contest(project or context.project, overrides, seed, wanted, output))

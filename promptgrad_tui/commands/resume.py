"""`promptgrad resume`: continue an interrupted run."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import RUN_HELP, budget_options, output_options
from promptgrad_tui.commands.shared.printing import end


@click.command(
    "resume",
    short_help="Resume an interrupted run.",
    epilog=f"{RUN_HELP} By default it is the latest run that was interrupted.",
    cls=Command,
    examples=["promptgrad resume", "promptgrad -C promptgrad-demo resume 20261121 --max-calls 2000"],
)
@click.argument("run", required=False)
@budget_options
@output_options
@click.pass_obj
def resume_command(
    context: CommandContext,
    run: str | None,
    max_calls: int | None,
    max_minutes: float | None,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> None:
    """Resume a run that was stopped, interrupted or ended by an error.

    The run starts again from its beginning, and every answer that was paid for comes from the
    journal: the result is that of a run that was never interrupted. The budget is the one that the
    run was started with, unless you give another.
    """
    from promptgrad_tui.commands.shared.full_screen import has_screen, resume_on_screen
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.headless import Output, resume
    from promptgrad_tui.work.run.job import latest_unfinished

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    run = run or latest_unfinished(context.project)
    if not (as_json or plain or quiet) and has_screen():
        end(resume_on_screen(context.project, run, budget))
    end(resume(context.project, run, budget, Output(as_json=as_json, quiet=quiet)))

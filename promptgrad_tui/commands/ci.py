"""`promptgrad ci`: from a change to a verdict, for a repository's checks."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import budget_options, set_option
from promptgrad_tui.commands.shared.paths import OUTPUT_FILE
from promptgrad_tui.commands.shared.printing import end


@click.command(
    "ci",
    short_help="Run if something has changed, and test the result against the gates.",
    cls=Command,
    examples=["promptgrad ci", "promptgrad ci prompts/desk --max-calls 3000 --max-minutes 30"],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@set_option("run")
@budget_options
@click.option(
    "--report", type=OUTPUT_FILE, default="report.md", show_default=True, metavar="FILE", help="The report."
)
@click.option(
    "--junit",
    type=OUTPUT_FILE,
    default="junit.xml",
    show_default=True,
    metavar="FILE",
    help="The gates' verdicts.",
)
@click.pass_obj
def ci_command(
    context: CommandContext,
    project: Path | None,
    overrides: dict[str, str],
    max_calls: int | None,
    max_minutes: float | None,
    report: Path,
    junit: Path,
) -> None:
    """Bring the PROJECT's artifact up to date (by default that of the project in the current folder).

    If program, data, metric, gates and model revision are those of the current artifact, or of the
    last one that passed its gates, there is nothing to do. Otherwise the project is run, and the
    result is tested against its gates and compared with that artifact. Nothing is promoted.

    The exit code is 1 if a gate failed. A budget ends the run cleanly with what it has found.
    """
    from promptgrad_tui.ci import Files, run_pipeline
    from promptgrad_tui.work.run.budget import Budget

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    files = Files(report, junit)
    end(run_pipeline(project or context.project, overrides, budget, files))

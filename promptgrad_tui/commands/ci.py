"""`promptgrad ci`: the whole way from a change to a verdict, for a repository's checks."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.assignments import assignments
from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.paths import OUTPUT_FILE
from promptgrad_tui.commands.run import budget_options


@click.command(
    "ci",
    short_help="Run where something has changed, and put the result to the gates.",
    cls=Command,
    examples=["promptgrad ci", "promptgrad ci prompts/desk --max-calls 3000 --max-minutes 30"],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    callback=assignments("key=value"),
    metavar="KEY=VALUE",
    help="Set a key of promptgrad.toml for this run only; may be repeated.",
)
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
    """Bring the PROJECT's artifact up to date (by default that of the current folder).

    Where program, data, metric, gates and model revision are those of the current artifact, or of
    the last one that passed its gates, there is nothing to do. Otherwise the project is run, the
    result is put to its gates and compared with that artifact. Nothing is promoted.

    Ends with exit code 1 if a gate failed. A budget ends the run cleanly with what it has found.
    """
    from promptgrad_tui.ci import Files, run_pipeline
    from promptgrad_tui.work.run.budget import Budget

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    files = Files(report, junit)
    click.get_current_context().exit(run_pipeline(project or context.project, overrides, budget, files))

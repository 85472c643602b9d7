"""`promptgrad compile`: the project's program for one model after another."""

from __future__ import annotations

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.run import budget_options


def _uris(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    uris = tuple(dict.fromkeys(uri.strip() for uri in value.split(",") if uri.strip()))
    if not uris:
        raise click.BadParameter("name at least one model.", ctx, parameter)
    return uris


@click.command(
    "compile",
    short_help="Learn rules for one model after another.",
    cls=Command,
    examples=["promptgrad compile --models demo,gguf:models/qwen3-4b.gguf,ollama:llama3.2:3b"],
)
@click.option(
    "--models", "uris", required=True, callback=_uris, metavar="URI,URI,...", help="Models, with commas."
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress, only the summaries.")
@budget_options
@click.pass_obj
def compile_command(
    context: CommandContext,
    uris: tuple[str, ...],
    quiet: bool,
    max_calls: int | None,
    max_minutes: float | None,
) -> None:
    """Fill the cells of the matrix: run the project on one model after another.

    A cell with an artifact that passes its gates and isn't stale is left alone. Started again after
    an interruption, it goes on and pays for nothing twice. The budget is that of each run.
    """
    from promptgrad_tui.work.release.compiling import compile_cells
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.headless import Output

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    code = compile_cells(context.project, uris, budget, Output(as_json=False, quiet=quiet))
    click.get_current_context().exit(code)

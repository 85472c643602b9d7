"""`promptgrad compile`: the project's program for several models in turn."""

from __future__ import annotations

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import budget_options, comma_separated
from promptgrad_tui.commands.shared.printing import end


@click.command(
    "compile",
    short_help="Learn rules for several models in turn.",
    cls=Command,
    examples=["promptgrad compile --models demo,gguf:models/qwen3-4b.gguf,ollama:llama3.2:3b"],
)
@click.option(
    "--models",
    "uris",
    required=True,
    callback=comma_separated("model"),
    metavar="URI,URI,...",
    help="Models, separated by commas.",
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
    """Fill the cells of the matrix: run the project on several models in turn.

    A cell with an artifact that passes its gates and isn't stale is left alone. After an
    interruption, start the command again: it continues and pays for nothing twice. The budget
    applies to each run.
    """
    from promptgrad_tui.work.release.compiling import compile_cells
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.headless import Output

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    code = compile_cells(context.project, uris, budget, Output(as_json=False, quiet=quiet))
    end(code)

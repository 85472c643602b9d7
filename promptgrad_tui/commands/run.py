"""`promptgrad run`: learn rules for a project's prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import click

from engine.project.methods import MethodName
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.full_screen import start_run
from promptgrad_tui.commands.shared.options import SEED, budget_options, output_options, set_option
from promptgrad_tui.commands.shared.paths import INPUT_FILE
from promptgrad_tui.commands.shared.printing import end

METHODS: tuple[MethodName, ...] = get_args(MethodName)


@click.command(
    "run",
    short_help="Learn rules and demonstrations for a prompt.",
    cls=Command,
    examples=[
        "promptgrad run",
        "promptgrad run mine --seed 3 --set optimizer.epochs=1 --max-calls 500",
        "promptgrad run mine --base mipro_v2 --base-calls 400",
        "promptgrad run mine --json > result.json",
    ],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--seed", type=SEED, metavar="N", help="Seed of everything random in the run.")
@set_option("run")
@click.option(
    "--from",
    "instructions",
    type=INPUT_FILE,
    metavar="FILE",
    help="Start from the instructions in FILE: a text, or a DSPy state (.json).",
)
@click.option(
    "--base",
    "optimizer",
    type=click.Choice(METHODS),
    metavar="NAME",
    help=f"Let another optimizer make the base first: {', '.join(METHODS)}.",
)
@click.option(
    "--base-calls", type=click.IntRange(1), metavar="N", help="Model calls that it may use; needs --base."
)
@budget_options
@output_options
@click.pass_obj
def run_command(
    context: CommandContext,
    project: Path | None,
    seed: int | None,
    overrides: dict[str, str],
    instructions: Path | None,
    optimizer: str | None,
    base_calls: int | None,
    max_calls: int | None,
    max_minutes: float | None,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> None:
    """Learn rules for the PROJECT's prompt (by default the project in the current folder).

    Every rule is tested before it is kept; the test split is opened once, at the end. On a terminal
    the full screen opens; elsewhere, and with --plain, progress goes to stderr as lines. Ctrl-C stops
    the run cleanly; `promptgrad resume` continues it and pays for nothing twice.
    """
    from promptgrad_tui.work.run.base_instructions import as_override, read_instructions
    from promptgrad_tui.work.run.budget import Budget

    if base_calls is not None and optimizer is None:
        raise click.UsageError("--base-calls needs --base: the optimizer that may use them.")
    if instructions is not None:
        overrides = {**as_override(read_instructions(instructions)), **overrides}
    if optimizer is not None:
        overrides = {**overrides, "base.optimizer": json.dumps(optimizer)}
    if base_calls is not None:
        overrides = {**overrides, "base.calls": str(base_calls)}
    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    folder = project or context.project
    end(start_run(folder, overrides, seed, budget, as_json=as_json, plain=plain, quiet=quiet))

"""`promptgrad run`, `resume` and `demo`: one run in this process, told as lines."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from promptgrad_tui.commands.assignments import assignments
from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.paths import INPUT_FILE

if TYPE_CHECKING:
    from promptgrad_tui.work.run.budget import Budget

SEED = click.IntRange(0, 2**31 - 1)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _finite(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):  # no bound holds for NaN
        raise click.BadParameter(f"{value} is no number of minutes.", ctx, parameter)
    return value


def output_options(command: Decorated) -> Decorated:
    """Add the options that say how a run is shown: on a terminal, by default, on the full screen."""
    options = (
        click.option("--quiet", "-q", is_flag=True, help="Show no progress, only the summary."),
        click.option("--plain", is_flag=True, help="Show plain lines, also on a terminal."),
        click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout."),
    )
    for option in options:
        command = option(command)
    return command


def budget_options(command: Decorated) -> Decorated:
    """Add the options that bound what a run may use."""
    calls = click.option(
        "--max-calls", type=click.IntRange(1), metavar="N", help="End after this many model calls."
    )
    minutes = click.option(
        "--max-minutes",
        type=click.FloatRange(0, min_open=True),
        metavar="MINUTES",
        callback=_finite,
        help="End after this many minutes.",
    )
    return calls(minutes(command))


@click.command(
    "run",
    short_help="Learn rules for a project's prompt.",
    cls=Command,
    examples=[
        "promptgrad run",
        "promptgrad run mine --seed 3 --set optimizer.epochs=1 --max-calls 500",
        "promptgrad run mine --json > result.json",
    ],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--seed", type=SEED, metavar="N", help="Seed of all that is random in the run.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    callback=assignments("key=value"),
    metavar="KEY=VALUE",
    help="Set a key of promptgrad.toml for this run only; may be repeated.",
)
@click.option(
    "--from",
    "base",
    type=INPUT_FILE,
    metavar="FILE",
    help="Start from the instructions in FILE: a text, or a DSPy state (.json).",
)
@budget_options
@output_options
@click.pass_obj
def run_command(
    context: CommandContext,
    project: Path | None,
    seed: int | None,
    overrides: dict[str, str],
    base: Path | None,
    max_calls: int | None,
    max_minutes: float | None,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> None:
    """Learn rules for the PROJECT's prompt (by default that of the current folder).

    Every rule is tested before it is kept; the test split is opened once, at the end. On a terminal
    the full screen opens; elsewhere, and with --plain, progress goes to stderr as lines. Ctrl-C stops
    cleanly: `promptgrad resume` goes on and pays for nothing twice.
    """
    from promptgrad_tui.work.run.base_instructions import as_override, read_instructions
    from promptgrad_tui.work.run.budget import Budget

    if base is not None:
        overrides = {**as_override(read_instructions(base)), **overrides}
    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    _run(project or context.project, overrides, seed, budget, as_json=as_json, plain=plain, quiet=quiet)


@click.command(
    "resume",
    short_help="Go on with an interrupted run.",
    epilog="RUN is a run's id, a part of it, or `last`; by default the latest run that isn't finished.",
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
    """Go on with a run that was stopped, interrupted or ended by an error.

    The run starts again from its beginning, and every answer that was paid for is taken from the
    journal: the result is that of a run that was never interrupted. The budget is the one that
    the run was started with, unless you give another.
    """
    from promptgrad_tui.commands.full_screen import has_screen, resume_on_screen
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.headless import Output, resume
    from promptgrad_tui.work.run.job import latest_unfinished

    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    run = run or latest_unfinished(context.project)
    if not (as_json or plain or quiet) and has_screen():
        _end(resume_on_screen(context.project, run, budget))
    _end(resume(context.project, run, budget, Output(as_json=as_json, quiet=quiet)))


@click.command(
    "demo",
    short_help="Watch a whole run on the embedded model.",
    cls=Command,
    examples=["promptgrad demo", "promptgrad demo --dir /tmp/desk --seed 3 --json"],
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="A new folder; by default ./promptgrad-demo."
)
@click.option(
    "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Seed of the data and of the run."
)
@output_options
def demo_command(folder: Path | None, seed: int, as_json: bool, plain: bool, quiet: bool) -> None:
    """Write the demo project into a new folder and run it on the embedded model.

    A support desk routes tickets by a policy that its prompt doesn't know; the run finds out the
    policy's rules from the failures. It needs no network and takes about half a minute.
    """
    from promptgrad_tui.work.run.budget import Budget
    from promptgrad_tui.work.run.demo_folder import write_demo

    _run(write_demo(folder, seed), {}, seed, Budget(), as_json=as_json, plain=plain, quiet=quiet)


def _run(
    folder: Path,
    overrides: dict[str, str],
    seed: int | None,
    budget: Budget,
    *,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> NoReturn:
    from promptgrad_tui.commands.full_screen import has_screen, start_on_screen
    from promptgrad_tui.work.run.headless import Output, start

    if not (as_json or plain or quiet) and has_screen():
        _end(start_on_screen(folder, overrides, seed, budget))
    _end(start(folder, overrides, seed, budget, Output(as_json=as_json, quiet=quiet)))


def _end(exit_code: int) -> NoReturn:
    click.get_current_context().exit(exit_code)

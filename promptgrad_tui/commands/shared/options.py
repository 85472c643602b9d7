"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, TypeVar

import click

SEED = click.IntRange(0, 2**31 - 1)
RUN_HELP = "RUN is a run's id, part of it, or `last`."

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
json_list_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def finite_minutes(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse a number of minutes that is none."""
    if value is not None and not isfinite(value):  # no bound holds for NaN
        raise click.BadParameter(f"{value} is not a number of minutes.", ctx, parameter)
    return value


def output_options(command: Decorated) -> Decorated:
    """Add the options that say how a run is shown: on a terminal, by default, on the full screen."""
    options = (
        click.option("--quiet", "-q", is_flag=True, help="Show no progress, only the summary."),
        click.option("--plain", is_flag=True, help="Show plain lines, even on a terminal."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout at the end."),
    )
    for option in options:
        command = option(command)
    return command


def budget_options(command: Decorated) -> Decorated:
    """Add the options that limit what a run may use."""
    calls = click.option(
        "--max-calls", type=click.IntRange(1), metavar="N", help="Stop after this many model calls."
    )
    minutes = click.option(
        "--max-minutes",
        type=click.FloatRange(0, min_open=True),
        metavar="MINUTES",
        callback=finite_minutes,
        help="Stop after this many minutes.",
    )
    return calls(minutes(command))

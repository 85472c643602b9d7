"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeVar

import click

from promptgrad_tui.commands.shared.assignments import assignments

SEED = click.IntRange(0, 2**31 - 1)
RUN_HELP = "RUN is a run's id, part of it, or `last`."

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
json_list_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def finite_minutes(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what isn't a number of minutes."""
    if value is not None and not isfinite(value):  # no bound holds for NaN
        raise click.BadParameter(f"{value} is not a number of minutes.", ctx, parameter)
    return value


def set_option(what: str) -> Callable[[Decorated], Decorated]:
    """Return the option that sets keys of the project file, for this `what` only."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        callback=assignments("key=value"),
        metavar="KEY=VALUE",
        help=f"Set a key of promptgrad.toml for this {what} only; repeatable.",
    )


def comma_separated(
    what: str, known: Sequence[str] = (), *, may_be_empty: bool = False
) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    """Return the callback of an option that takes the names of several `what`s, with commas between them.

    Each name counts once. If names are `known`, there are no others, and they come in that order.
    """

    def names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))
        unknown = [name for name in found if known and name not in known]
        if unknown:
            raise click.BadParameter(
                f"there is no {what} {unknown[0]!r}; there are {', '.join(known)}.", ctx, parameter
            )
        if not found and not may_be_empty:
            raise click.BadParameter(f"name at least one {what}.", ctx, parameter)
        return tuple(name for name in known if name in found) if known else found

    return names


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

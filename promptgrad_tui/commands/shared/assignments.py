"""Options of the form `name=value` that may be repeated."""

from __future__ import annotations

from collections.abc import Callable

import click


def assignments(form: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    """Return a callback that makes a dictionary of an option's values; `form` is what an error asks for."""

    def read(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        pairs = [value.partition("=") for value in values]
        for name, equals, _ in pairs:
            if not equals or not name.strip():
                raise click.BadParameter(f"{name!r} is not of the form {form}.", ctx, parameter)
        names = [name.strip() for name, _, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise click.BadParameter(f"{name!r} is given twice.", ctx, parameter)
        return {name.strip(): value for name, _, value in pairs}

    return read

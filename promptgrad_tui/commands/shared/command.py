"""Commands whose help ends with examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from promptgrad_tui.commands.shared.context import CommandContext


def _elsewhere() -> click.Option:
    """Return the option -C, which stands after a command as well as before it."""

    def work_there(ctx: click.Context, parameter: click.Parameter, folder: Path | None) -> None:
        del parameter
        if folder is not None and isinstance(ctx.obj, CommandContext):
            ctx.obj = replace(ctx.obj, project=folder)

    return click.Option(
        ["-C", "elsewhere"],
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        metavar="DIR",
        expose_value=False,
        is_eager=True,  # paths are looked for in that folder
        callback=work_there,
        help="Work in the project in DIR instead of the current folder.",
    )


class _WithExamples(click.Command):
    """Keeps lines to type as examples; they stand in the help as they are."""

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples
        self.params.append(_elsewhere())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog, then the examples."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class Command(_WithExamples):
    """A command with `examples`."""


class Group(_WithExamples, click.Group):
    """A group of commands with `examples`."""

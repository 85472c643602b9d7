"""Commands whose help ends with examples."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from engine.ground.errors import PromptGradError
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.views.sanitize import folder_option


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


_ANYWHERE = {"init", "demo", "data", "doctor", "help", "models"}


def _typed_here(hint: str, project: Path, commands: Collection[str]) -> str:
    """Return a hint whose commands name the project where they are typed outside its folder."""
    names = "|".join(sorted(set(commands) - _ANYWHERE))
    return re.sub(rf"\bpromptgrad (?=(?:{names})\b)", lambda _: f"promptgrad {folder_option(project)}", hint)


class _WithExamples(click.Command):
    """Keeps lines to type as examples; they stand in the help as they are."""

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples
        self.params.append(_elsewhere())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the hint of its error says to type works in the current folder."""
        try:
            return super().invoke(ctx)
        except PromptGradError as error:
            root = ctx.find_root().command
            if isinstance(ctx.obj, CommandContext) and isinstance(root, click.Group):
                project = ctx.params.get("project") or ctx.obj.project
                error.hint = _typed_here(error.hint, project, root.commands)
            raise

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

"""Paths of what exists, as a person types them: from the current folder, else from the project's."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import click

from promptgrad_tui.commands.shared.context import CommandContext


class InProject(click.Path):
    """A path from the current folder; what isn't there is looked for in the project's (`-C`)."""

    def convert(
        self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the path where it exists."""
        if ctx is not None and isinstance(ctx.obj, CommandContext) and not Path(value).exists():
            below = ctx.obj.project / value
            value = below if below.exists() else value
        return super().convert(value, param, ctx)


class _Artifact(InProject):
    def convert(
        self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"There is no folder {value}. `promptgrad matrix` lists the artifacts.", param, ctx)


ARTIFACT = _Artifact(file_okay=False, exists=True, path_type=Path)
INPUT_FILE = InProject(dir_okay=False, exists=True, path_type=Path)


class _OutputFile(click.Path):
    def convert(
        self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if str(value) == "-":  # elsewhere the standard output; here it would become a file of that name
            self.fail("Name a file; `./-` is one that is called -.", param, ctx)
        return super().convert(value, param, ctx)


OUTPUT_FILE = _OutputFile(dir_okay=False, path_type=Path)

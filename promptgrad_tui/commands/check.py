"""`promptgrad check`: a look at a project before a run spends anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option, set_option
from promptgrad_tui.commands.shared.printing import end

if TYPE_CHECKING:
    from promptgrad_tui.work.check.preflight import Part


@click.command(
    "check",
    short_help="Check a project before the first model call.",
    cls=Command,
    examples=[
        "promptgrad check",
        "promptgrad check mine --no-probe",
        "promptgrad check --set model.task=ollama:qwen3:4b",
        "promptgrad check --json | jq .findings",
    ],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@set_option("check")
@click.option("--no-probe", is_flag=True, help="Don't call the model: skip the measured estimate.")
@click.option("--no-model", is_flag=True, help="Don't open the model either: check only the files.")
@json_option
@click.option("--json-progress", is_flag=True, help="With --json: write progress as JSON lines on stderr.")
@click.pass_obj
def check_command(
    context: CommandContext,
    project: Path | None,
    overrides: dict[str, str],
    no_probe: bool,
    no_model: bool,
    as_json: bool,
    json_progress: bool,
) -> None:
    """Check the PROJECT (by default the one in the current folder) before a run spends anything.

    It checks files, fields, splits and leakage between them, the metric, the model, and the tokens
    of the longest example against the context. Then it estimates calls, tokens and minutes from a
    few measured rollouts.
    """
    from promptgrad_tui.work.check.check import check_as_json, check_as_text

    folder = project or context.project
    upto: Part = "data" if no_model else "model" if no_probe else "rate"
    if as_json:
        end(check_as_json(folder, overrides, upto, json_progress=json_progress))
    end(check_as_text(folder, overrides, upto))

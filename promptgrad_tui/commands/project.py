"""`promptgrad init` and `check`: a project to begin with, and a look at it before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.assignments import assignments
from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from promptgrad_tui.work.check.preflight import Part


@click.command(
    "init",
    short_help="Write a commented project to start from.",
    cls=Command,
    examples=["promptgrad init mine", "promptgrad check mine"],
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init_command(folder: Path) -> None:
    """Write a new project into DIR: commented, working, and ready to be changed.

    Nothing that exists is ever overwritten.
    """
    from promptgrad_tui.work.run.init_project import init_project

    for path in init_project(folder):
        click.echo(path)
    terminal = Terminal.stderr()
    terminal.line(f"Look at {folder / 'promptgrad.toml'}, then: promptgrad check {folder}")


@click.command(
    "check",
    short_help="Look at everything before the first call.",
    cls=Command,
    examples=[
        "promptgrad check",
        "promptgrad check mine --no-probe",
        "promptgrad check --set model.task=ollama:qwen3:4b",
        "promptgrad check --json | jq .findings",
    ],
)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    callback=assignments("key=value"),
    metavar="KEY=VALUE",
    help="Set a key of promptgrad.toml for this check only; may be repeated.",
)
@click.option("--no-probe", is_flag=True, help="Don't call the model: skip the measured estimate.")
@click.option("--no-model", is_flag=True, help="Don't even open the model: look at the files alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--json-progress", is_flag=True, help="With --json: write progress as lines of JSON on stderr.")
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
    """Validate the PROJECT (by default that of the current folder) before a run spends anything.

    Files, fields, splits, leakage between them, the metric, the model, the longest example's
    tokens against the context; then an estimate of calls, tokens and minutes from a few measured
    rollouts.
    """
    from promptgrad_tui.work.check.check import check_as_json, check_as_text

    folder = project or context.project
    upto: Part = "data" if no_model else "model" if no_probe else "rate"
    if as_json:
        exit_code = check_as_json(folder, overrides, upto, json_progress=json_progress)
    else:
        exit_code = check_as_text(folder, overrides, upto)
    click.get_current_context().exit(exit_code)

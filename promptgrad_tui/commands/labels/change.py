"""`promptgrad labels open`, `correct` and `exclude`: what a person does about a doubted label."""

from __future__ import annotations

import subprocess
from typing import Any

import click

from engine.ground.errors import PromptGradError
from promptgrad_tui.commands.labels.reading import decisions_of
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.printing import end
from promptgrad_tui.views.terminal import Terminal

_number = click.argument("number", type=click.IntRange(1))


@click.command(
    "open",
    short_help="Open an example in your editor.",
    cls=Command,
    examples=["promptgrad labels open 1"],
)
@_number
@click.pass_context
def open_command(ctx: click.Context, number: int) -> None:
    """Open the file of example NUMBER in $VISUAL or $EDITOR, at its line."""
    from promptgrad_tui.work.labels.doubts import numbered
    from promptgrad_tui.work.machine.editor import editor_command

    _, example = numbered(decisions_of(ctx).rows, number)
    command = editor_command(example.file, example.line)
    try:
        end(subprocess.run(command, check=False).returncode)  # noqa: S603 - the person's own editor
    except OSError as error:
        raise PromptGradError(f"{command[0]}: {error.strerror}.", hint="Set $EDITOR.") from error


@click.command(
    "correct",
    short_help="Write another label into the data file.",
    cls=Command,
    examples=["promptgrad labels correct 1", "promptgrad labels correct 1 --to refund"],
)
@_number
@click.option("--to", metavar="LABEL", help="The right label; without it, what the model says.")
@click.pass_context
def correct_command(ctx: click.Context, number: int, to: str | None) -> None:
    """Correct the label of example NUMBER in its file: in a JSON, YAML or CSV file, nothing else changes."""
    from engine.programs.formatting import as_text
    from promptgrad_tui.work.labels.correcting import typed_label
    from promptgrad_tui.work.labels.doubts import numbered

    decisions = decisions_of(ctx)
    doubted, example = numbered(decisions.rows, number)
    label = doubted.label
    value: Any = label.answer if to is None else typed_label(to, label.expected)
    decisions.correction(number, value).make()
    Terminal.stdout().line(
        f"{example.where}: {label.field} was {as_text(label.expected)} and is now {as_text(value)}."
    )


@click.command(
    "exclude",
    short_help="Leave an example out from now on.",
    cls=Command,
    examples=["promptgrad labels exclude 1"],
)
@_number
@click.pass_context
def exclude_command(ctx: click.Context, number: int) -> None:
    """Leave out example NUMBER from now on: its key goes to [data] exclude in promptgrad.toml."""
    from promptgrad_tui.work.labels.doubts import numbered

    decisions = decisions_of(ctx)
    _, example = numbered(decisions.rows, number)
    decisions.exclusion(number).make()
    Terminal.stdout().line(
        f"{example.where} is excluded: [data] exclude names it. "
        f"To bring it back: promptgrad labels undo {number}"
    )


@click.command(
    "undo",
    short_help="Take a correction or an exclusion back.",
    cls=Command,
    examples=["promptgrad labels undo 1"],
)
@_number
@click.pass_context
def undo_command(ctx: click.Context, number: int) -> None:
    """Take back what was decided about example NUMBER: the label it had, or its place among the examples."""
    from engine.programs.formatting import as_text
    from promptgrad_tui.work.labels.doubts import at_number

    decisions = decisions_of(ctx)
    doubted = at_number(decisions.rows, number)
    label = doubted.label
    decisions.take_back(number)
    now = f"{label.field} is {as_text(label.expected)} again"
    Terminal.stdout().line(
        f"{label.file}, line {label.line}: {'it is no longer excluded' if doubted.example else now}."
    )

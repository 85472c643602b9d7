"""`promptgrad transfer` and `recheck`: an artifact on another model, and on new data."""

from __future__ import annotations

import json
from pathlib import Path

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.commands.paths import ARTIFACT, INPUT_FILE
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "transfer",
    short_help="Measure an artifact on another model.",
    cls=Command,
    examples=["promptgrad transfer artifacts/desk/1f0c5a2b77aa/v1 --to ollama:llama3.2:3b"],
)
@click.argument("artifact", type=ARTIFACT)
@click.option("--to", "uri", required=True, metavar="URI", help="The other model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def transfer_command(context: CommandContext, artifact: Path, uri: str, as_json: bool) -> None:
    """Score the rules of ARTIFACT on the test split with another model.

    It is a measurement only: the artifact stays one for its own model, and can't be loaded for the
    other. Rules that help there too are no reason to skip `promptgrad compile`. The test split is
    opened once more, and that is counted.
    """
    from promptgrad_tui.views.measurement import transfer_json, transfer_lines
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.measure.measuring import transfer

    found = transfer(artifact, uri, context.project)
    terminal = Terminal.stdout()
    terminal.lines([json.dumps(transfer_json(found))] if as_json else transfer_lines(found, terminal))


@click.command(
    "recheck",
    short_help="Score a released artifact on new data.",
    cls=Command,
    examples=["promptgrad recheck --data data/november.jsonl"],
)
@click.argument("artifact", required=False, type=ARTIFACT)
@click.option(
    "--data",
    required=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="New labelled examples.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def recheck_command(context: CommandContext, artifact: Path | None, data: Path, as_json: bool) -> None:
    """Score ARTIFACT (by default the current one) on new labelled data, against its score at release.

    Ends with exit code 1 if a score, overall or of a slice, is lower by more than chance explains:
    then it is time to compile again with newer data.
    """
    from promptgrad_tui.views.measurement import recheck_json, recheck_lines
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.measure.measuring import recheck

    found = recheck(artifact, data, context.project)
    terminal = Terminal.stdout()
    terminal.lines([json.dumps(recheck_json(found))] if as_json else recheck_lines(found, terminal))
    click.get_current_context().exit(1 if found.should_recompile else 0)

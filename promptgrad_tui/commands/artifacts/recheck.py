"""`promptgrad recheck`: a released artifact on new data."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.paths import ARTIFACT, INPUT_FILE
from promptgrad_tui.commands.shared.printing import end, print_result


@click.command(
    "recheck",
    short_help="Score a released artifact on new data.",
    cls=Command,
    examples=["promptgrad recheck --data data/november.jsonl"],
)
@click.argument("artifact", required=False, type=ARTIFACT)
@click.option("--data", required=True, type=INPUT_FILE, metavar="FILE", help="New labelled examples.")
@json_option
@click.pass_obj
def recheck_command(context: CommandContext, artifact: Path | None, data: Path, as_json: bool) -> None:
    """Score ARTIFACT (by default the current one) on new labelled data, against its score at release.

    The exit code is 1 if a score, overall or of a slice, has dropped by more than chance explains.
    Then it is time to compile again with newer data.
    """
    from promptgrad_tui.views.artifacts.measurement import recheck_json, recheck_lines
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.measure.measuring import recheck

    found = recheck(artifact, data, context.project)
    print_result(
        lambda: recheck_json(found),
        lambda terminal: recheck_lines(found, terminal),
        as_json=as_json,
        indent=None,
    )
    end(1 if found.should_recompile else 0)

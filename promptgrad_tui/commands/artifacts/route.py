"""`promptgrad route`: a small model where it is sure, a large one everywhere else."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.commands.shared.printing import print_result
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "route",
    short_help="Let a small model answer where it is sure.",
    epilog="SMALL and LARGE are artifacts of this project, each proved on its own model.",
    cls=Command,
    examples=[
        "promptgrad route artifacts/desk/1f0c5a2b77aa/v1 artifacts/desk/9b41cc0e21d7/v2",
        "promptgrad route artifacts/desk/1f0c5a2b77aa/v1 artifacts/desk/9b41cc0e21d7/v2 --margin 0.1 --json",
    ],
)
@click.argument("small", type=ARTIFACT)
@click.argument("large", type=ARTIFACT)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="LOSS",
    help="The largest loss of score against LARGE; by default 0.02, or the smallest that can be shown.",
)
@json_option
@click.pass_obj
def route_command(
    context: CommandContext, small: Path, large: Path, margin: float | None, as_json: bool
) -> None:
    """Find the confidence from which SMALL's answers stand, and save a router of both artifacts.

    Both answer the validation examples. Each threshold on the small model's confidence is listed with
    the share that it answers, the score and the time. They are tested from the smallest share on; the
    last one before the first that isn't shown (97.5 %) to lose no more than the margin is chosen.
    `predict` and `load_artifact` serve the router, on the two exact model revisions.
    """
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.views.artifacts.routing import routing_json, routing_lines
    from promptgrad_tui.work.derive.routing import route
    from promptgrad_tui.work.run.pace import with_pace

    with StatusLine(Terminal.stderr()) as status:
        found = route(small, large, context.project, margin, with_pace(status.show))
    print_result(lambda: routing_json(found), lambda lines: routing_lines(found, lines), as_json=as_json)

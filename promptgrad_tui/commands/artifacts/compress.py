"""`promptgrad compress`: a shorter prompt that is shown to be no worse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import comma_separated, json_option
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.commands.shared.printing import print_result
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.release.compression.parts import Level

_LEVELS = ("demonstration", "sentence", "token")


@click.command(
    "compress",
    short_help="Make an artifact's prompt shorter.",
    cls=Command,
    examples=[
        "promptgrad compress artifacts/desk/1f0c5a2b77aa/v1",
        "promptgrad compress artifacts/desk/1f0c5a2b77aa/v1 --margin 0.05 --level demonstration",
        "promptgrad compress artifacts/desk/1f0c5a2b77aa/v1 --base --json",
    ],
)
@click.argument("artifact", type=ARTIFACT)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="LOSS",
    help="The largest loss of score; by default 0.02, or the smallest that the examples can show.",
)
@click.option(
    "--level",
    "levels",
    callback=comma_separated("level", _LEVELS),
    default=",".join(_LEVELS),
    show_default=True,
    metavar="LEVEL,...",
    help="What may be left out: whole demonstrations, sentences, words.",
)
@click.option(
    "--examples",
    "most_examples",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    metavar="N",
    help="The most examples to test on: validation first, then training examples.",
)
@click.option("--base", "with_base", is_flag=True, help="Compress the frozen base instructions too.")
@json_option
@click.pass_obj
def compress_command(
    context: CommandContext,
    artifact: Path,
    margin: float | None,
    levels: tuple[Level, ...],
    most_examples: int,
    with_base: bool,
    as_json: bool,
) -> None:
    """Leave out of ARTIFACT's prompt what it doesn't need, and save the rest as a new artifact.

    What the model itself can predict is tried first. Each step is kept only if a paired test on the
    validation and training examples (at most --examples of them) shows that no more than the margin
    was lost. The base instructions stay as they are unless --base names them; their diff is shown. The
    test split is opened once, for the result.
    """
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.views.artifacts.compression import compression_json, compression_lines
    from promptgrad_tui.work.derive.compressing import compress
    from promptgrad_tui.work.run.pace import with_pace

    terminal = Terminal.stderr()
    with StatusLine(terminal) as status:

        def on_line(text: str) -> None:
            status.clear()
            terminal.line(text)

        found = compress(
            artifact,
            context.project,
            levels,
            margin,
            with_base=with_base,
            most_examples=most_examples,
            on_line=on_line,
            on_progress=with_pace(status.show),
        )
    print_result(
        lambda: compression_json(found), lambda lines: compression_lines(found, lines), as_json=as_json
    )

"""`promptgrad predict`: predictions with a saved artifact, one or a file of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from promptgrad_tui.commands.shared.assignments import assignments
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT, INPUT_FILE, OUTPUT_FILE
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "predict",
    short_help="Answer inputs with a saved artifact.",
    cls=Command,
    examples=[
        'promptgrad predict artifacts/desk/1f0c5a2b77aa/v1 --input ticket="I paid with a gift card."',
        'promptgrad predict artifacts/desk/1f0c5a2b77aa/v1 --input ticket="I paid with a gift card." --base',
        "promptgrad predict artifacts/desk/1f0c5a2b77aa/v1 --file new.jsonl --out answers.jsonl",
    ],
)
@click.argument("artifact", type=ARTIFACT)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    callback=assignments("field=value"),
    metavar="FIELD=VALUE",
    help="An input of the program; repeat it for each field.",
)
@click.option(
    "--file",
    "source",
    type=INPUT_FILE,
    metavar="IN",
    help="Answer each row of a file, in any format that data may have; needs --out.",
)
@click.option(
    "--out",
    "target",
    type=OUTPUT_FILE,
    metavar="OUT",
    help="File for the answers, one JSON line per row, in order; an interrupted call continues it.",
)
@click.option(
    "--base", "with_base", is_flag=True, help="Also show the answer without the rules; with --input."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@click.pass_obj
def predict_command(
    context: CommandContext,
    artifact: Path,
    inputs: dict[str, Any],
    source: Path | None,
    target: Path | None,
    with_base: bool,
    as_json: bool,
) -> None:
    """Answer inputs with a saved ARTIFACT, on the exact model that it was proved on.

    Its files, the program and the model's revision are verified first: if one of them has changed,
    nothing is answered.
    """
    if (source is None) == (not inputs) or (source is None) != (target is None):
        raise click.UsageError("Give either --input FIELD=VALUE, or --file IN with --out OUT.")
    if with_base and source is not None:
        raise click.UsageError("--base goes with --input.")
    if source is not None and target is not None:
        _predict_file(context, artifact, source, target)
        return
    from promptgrad_tui.work.predict.prediction import predict, predict_with_base

    terminal = Terminal.stdout()
    if not with_base:
        answer = predict(artifact, inputs, context.project)
        terminal.lines([json.dumps(answer, ensure_ascii=False)] if as_json else _lines(terminal, answer))
        return
    answer, base = predict_with_base(artifact, inputs, context.project)
    if as_json:
        terminal.lines([json.dumps({"optimized": answer, "base": base}, ensure_ascii=False)])
        return
    with_rules = terminal.style("With the rules", bold=True)
    without = terminal.style("Base instructions", bold=True)
    terminal.lines([with_rules, *_lines(terminal, answer), "", without, *_lines(terminal, base)])


def _lines(terminal: Terminal, answer: dict[str, Any]) -> list[str]:
    from promptgrad_tui.views.sanitize import visible

    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in answer.items()
    }
    return [f"{terminal.style(name, bold=True)}: {visible(text)}" for name, text in texts.items()]


def _predict_file(context: CommandContext, artifact: Path, source: Path, target: Path) -> None:
    from promptgrad_tui.views.figures import count_text
    from promptgrad_tui.views.status_line import StatusLine
    from promptgrad_tui.work.predict.batch import predict_file

    terminal = Terminal.stderr()
    with StatusLine(terminal) as status:
        problems = predict_file(
            artifact,
            source,
            target,
            context.project,
            lambda done, all_rows: status.show(f"answered {done} of {all_rows}", done / all_rows),
        )
    unanswered = f"; {count_text(problems, 'row')} without an answer" if problems else ""
    terminal.line(f"Wrote {target}{unanswered}")

"""`promptgrad export`: an artifact's prompt, or a run's results, for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT, OUTPUT_FILE
from promptgrad_tui.views.terminal import Terminal

FORMATS = ("text", "dspy", "messages", "modelfile", "promptfoo", "python")
TABLES = ("csv", "parquet")

HELP = """Write the prompt of a saved ARTIFACT, or the results of a RUN, for other tools.

\b
  text       every message as text, to read and to paste
  dspy       the state that plain DSPy's module.load() takes
  messages   chat messages with placeholders, and the answer's JSON schema
  modelfile  an Ollama Modelfile
  promptfoo  a promptfoo configuration with the test split as test cases
  python     one Python file that needs only dspy, conditional rules included

An export renders to exactly the tokens that were measured. Where it can't, its first line says where it
differs and why.

\b
  csv        every rollout of a run: example, rules, score, answer, tokens, seconds
  parquet    the same, into the FILE of --out

RUN is a run's id, a part of it, or `last`.
"""


@click.command(
    "export",
    help=HELP,
    short_help="Write an artifact's prompt, or a run's results, for other tools.",
    cls=Command,
    examples=[
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to python --out desk.py",
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to modelfile --out Modelfile",
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to promptfoo --out promptfooconfig.yaml",
        "promptgrad export last --to csv --out results.csv",
    ],
)
@click.argument("source", metavar="ARTIFACT|RUN")
@click.option("--to", "to", type=click.Choice(FORMATS + TABLES), required=True, help="The format.")
@click.option(
    "--out",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Write to FILE instead of stdout.",
)
@click.pass_context
def export_command(ctx: click.Context, source: str, to: str, out: Path | None) -> None:
    """Write an artifact, or a run's results, in a format."""
    from promptgrad_tui.views.output_file import write_output

    context: CommandContext = ctx.obj
    if to == "parquet":
        _write_parquet(context, source, out)
        return
    if to == "csv":
        from promptgrad_tui.work.release.results_table import as_csv, result_rows

        text = as_csv(result_rows(context.project, source))
    else:
        from promptgrad_tui.work.release.exporting import export_artifact

        text = export_artifact(ARTIFACT.convert(source, None, ctx), to, context.project)
    if out is None:
        Terminal.stdout().write(text if text.endswith("\n") else f"{text}\n")
        return
    write_output(out, text)
    Terminal.stderr().line(f"Wrote {out}")


def _write_parquet(context: CommandContext, run: str, out: Path | None) -> None:
    from promptgrad_tui.views.output_file import refuse_unwritable
    from promptgrad_tui.work.release.results_table import result_rows, write_parquet

    if out is None:
        raise click.UsageError("--to parquet needs --out FILE.")
    refuse_unwritable(out)
    write_parquet(result_rows(context.project, run), out)
    Terminal.stderr().line(f"Wrote {out}")

"""`promptgrad export`: an artifact's prompt for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT, OUTPUT_FILE
from promptgrad_tui.views.terminal import Terminal

FORMATS = ("text", "dspy", "messages", "modelfile", "promptfoo", "python")

HELP = """Write the prompt of a saved ARTIFACT for other tools.

\b
  text       every message as text, to read and to paste
  dspy       the state that plain DSPy's module.load() takes
  messages   chat messages with placeholders, and the answer's JSON schema
  modelfile  an Ollama Modelfile
  promptfoo  a promptfoo configuration with the test split as test cases
  python     one Python file that needs only dspy, conditional rules included

An export renders to exactly the tokens that were measured. Where it can't, its first line says where it
differs and why.
"""


@click.command(
    "export",
    help=HELP,
    short_help="Write an artifact's prompt for other tools.",
    cls=Command,
    examples=[
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to python --out desk.py",
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to modelfile --out Modelfile",
        "promptgrad export artifacts/desk/1f0c5a2b77aa/v1 --to promptfoo --out promptfooconfig.yaml",
    ],
)
@click.argument("artifact", type=ARTIFACT)
@click.option("--to", "to", type=click.Choice(FORMATS), required=True, help="The format.")
@click.option(
    "--out",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Write to FILE instead of stdout.",
)
@click.pass_obj
def export_command(context: CommandContext, artifact: Path, to: str, out: Path | None) -> None:
    """Write an artifact in a format."""
    from promptgrad_tui.views.output_file import write_output
    from promptgrad_tui.work.release.exporting import export_artifact

    text = export_artifact(artifact, to, context.project)
    if out is None:
        Terminal.stdout().write(text if text.endswith("\n") else f"{text}\n")
        return
    write_output(out, text)
    Terminal.stderr().line(f"Wrote {out}")

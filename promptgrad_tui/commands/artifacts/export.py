"""`promptgrad export`: an artifact's prompt, or a run's results, for other tools."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from engine.ground.errors import ArtifactError, NoRunError
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.paths import ARTIFACT
from promptgrad_tui.views.sanitize import shown_path, wrap
from promptgrad_tui.views.terminal import Terminal

FORMATS = ("text", "dspy", "messages", "modelfile", "promptfoo", "python")
WHOLE = "program"
TABLES = ("csv", "parquet", "mlflow")

HELP = """Write the prompt of a saved ARTIFACT, or the results of a RUN, for other tools.

\b
  text       every message as text, to read and to paste
  dspy       the state that plain DSPy's module.load() takes
  messages   chat messages with placeholders, and the answer's JSON schema
  modelfile  an Ollama Modelfile
  promptfoo  a promptfoo configuration with the test split as test cases
  python     one Python file that needs only dspy, what is conditional included
  program    the whole program as DSPy pickles it, into the folder of --out: to load it is to run it

An export renders to exactly the tokens that were measured. Where it can't, its first line says where it
differs and why.

\b
  csv        every rollout of a run: example, rules, score, answer, tokens, seconds
  parquet    the same, into the FILE of --out
  mlflow     configuration, scores and results.csv, into the folder of --out: `mlflow ui` reads it

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
        "promptgrad export last --to mlflow --out mlruns",
    ],
)
@click.argument("source", metavar="ARTIFACT|RUN")
@click.option("--to", "to", type=click.Choice((*FORMATS, WHOLE, *TABLES)), required=True, help="The format.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of stdout; for program and mlflow, a folder.",
)
@click.pass_context
def export_command(ctx: click.Context, source: str, to: str, out: Path | None) -> None:
    """Write an artifact, or a run's results, in a format."""
    from promptgrad_tui.views.output_file import write_output

    context: CommandContext = ctx.obj
    _refuse_other_kind(context.project, source, to)
    if to == "mlflow":
        from promptgrad_tui.work.release.mlflow_store import write_mlflow

        place = write_mlflow(context.project, source, out or context.project / "mlruns")
        Terminal.stderr().line(f"Wrote {place}")
        return
    if to == WHOLE:
        _write_program(ctx, source, out)
        return
    if out is not None and out.is_dir():
        raise click.UsageError(f"{out} is a folder; --out names a file.")
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


def _refuse_other_kind(project: Path, source: str, to: str) -> None:
    """Refuse an artifact or a router where a run is wanted, or a run where an artifact is."""
    from engine.journal.journal import Journal, journal_path
    from engine.release.manifest import MANIFEST, ROUTER, load_manifest

    folder = next((path for path in (Path(source), project / source) if path.is_dir()), None)
    if folder is not None and (folder / MANIFEST).is_file() and to in TABLES:
        run, _, _ = load_manifest(folder).run.partition(".")
        raise ArtifactError(
            f"--to {to} takes a run, and {source} is an artifact.",
            hint=f"Its run: promptgrad export {run} --to {to}",
        )
    if folder is not None and (folder / ROUTER).is_file() and to in TABLES:
        raise ArtifactError(
            f"--to {to} takes a run, and {source} is a router.",
            hint="`promptgrad runs` lists the runs of a project.",
        )
    if folder is not None or to in TABLES or not journal_path(project).is_file():
        return
    with Journal.open(journal_path(project), read_only=True) as journal, suppress(NoRunError):
        record = journal.run(source)
        ended = record.summary
        saved = record.review.artifact if record.review else ended and (ended.artifact or ended.withheld)
        hint = (
            f"Its artifact: promptgrad export {shown_path(saved)} --to {to}"
            if saved
            else "It has saved none."
        )
        raise ArtifactError(f"--to {to} takes an artifact, and {source} is a run.", hint=hint)


def _write_program(ctx: click.Context, source: str, out: Path | None) -> None:
    from promptgrad_tui.work.release.whole_program import PICKLE_WARNING, write_program

    if out is None:
        raise click.UsageError("--to program needs --out FOLDER.")
    write_program(ARTIFACT.convert(source, None, ctx), ctx.obj.project, out)
    terminal = Terminal.stderr()
    terminal.line(f"Wrote {out}")
    terminal.lines(wrap(PICKLE_WARNING, terminal.columns, "  ", "warning: "))


def _write_parquet(context: CommandContext, run: str, out: Path | None) -> None:
    from promptgrad_tui.views.output_file import refuse_unwritable
    from promptgrad_tui.work.release.results_table import result_rows, write_parquet

    if out is None:
        raise click.UsageError("--to parquet needs --out FILE.")
    refuse_unwritable(out)
    write_parquet(result_rows(context.project, run), out)
    Terminal.stderr().line(f"Wrote {out}")

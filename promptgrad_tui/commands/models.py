"""`promptgrad models`: what is here, its hash, its speed, how to get more and how to free memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.ground.errors import PromptGradError
from promptgrad_tui.commands.command import Command, Group
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.ground.model import Progress

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_URI = click.argument("uri")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


def _for_programs(command: Decorated) -> Decorated:
    """Add the options of a command that takes long and that other programs run."""
    told = "Write progress, and an error, as lines of JSON on stderr."
    return _JSON(click.option("--json-progress", is_flag=True, help=told)(command))


@click.group(
    "models",
    cls=Group,
    short_help="List the models that can be used here; hash, measure, free, pull.",
    invoke_without_command=True,
    examples=["promptgrad models", "promptgrad models --json", "promptgrad models pull ollama:qwen3:4b"],
)
@_JSON
@click.pass_context
def models_command(ctx: click.Context, as_json: bool) -> None:
    """List the models that can be used here.

    That is the demo model, GGUF files in the project and in the usual folders (PROMPTGRAD_MODELS, LM
    Studio, Hugging Face, Ollama's store), the models of an Ollama server that answers, and those of
    the servers that the project names. The first line of each is what [model] task takes. A
    revision is the hash of a model's content; `-` means that it is computed at first use, or by
    `promptgrad models hash`.
    """
    if ctx.invoked_subcommand is not None:
        return
    from promptgrad_tui.views.models import model_lines
    from promptgrad_tui.work.machine.model_listing import list_models

    listed = list_models(ctx.obj.project.absolute())
    terminal = Terminal.stdout()
    terminal.lines([json.dumps(listed.as_dict())] if as_json else model_lines(listed, terminal))


@models_command.command(
    "show",
    cls=Command,
    short_help="Show all that a model says about itself.",
    examples=["promptgrad models show demo", "promptgrad models show ollama:qwen3:4b --json"],
)
@_URI
@_for_programs
@click.pass_obj
def show_command(context: CommandContext, uri: str, as_json: bool, json_progress: bool) -> None:
    """Show a model's files, the memory that it needs, its metadata and its chat template.

    Nothing is loaded. The model is a URI as `promptgrad models` lists it.
    """
    from models.catalog.describing import describe_model
    from promptgrad_tui.views.models import description_lines

    with _progress(json_progress):
        description = describe_model(uri, context.project.absolute())
    terminal = Terminal.stdout()
    lines = [json.dumps(description.as_dict())] if as_json else description_lines(description, terminal)
    terminal.lines(lines)


@models_command.command(
    "hash",
    cls=Command,
    short_help="Compute the exact revision of a model.",
    examples=["promptgrad models hash gguf:/models/qwen3-4b-q4_k_m.gguf"],
)
@_URI
@_for_programs
@click.pass_obj
def hash_command(context: CommandContext, uri: str, as_json: bool, json_progress: bool) -> None:
    """Compute the exact revision of a model: of a file the SHA-256, of a server what it tells.

    A file is read once; the hash is remembered until the file changes.
    """
    from models.opening import read_revision

    with _progress(json_progress) as report:
        revision = read_revision(uri, project_dir=context.project.absolute(), on_progress=report)
    told = {"uri": uri, "revision": revision.digest, "verified": revision.verified}
    Terminal.stdout().line(json.dumps(told) if as_json else revision.digest)


@models_command.command(
    "pull",
    cls=Command,
    short_help="Download a model from Ollama's library or from Hugging Face.",
    examples=[
        "promptgrad models pull ollama:qwen3:4b",
        "promptgrad models pull hf:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf",
    ],
)
@click.argument("source")
@_for_programs
def pull_command(source: str, as_json: bool, json_progress: bool) -> None:
    """Download a model from Ollama's library or from Hugging Face.

    This is the only command that reaches out from this machine. An interrupted download goes on
    where it was.
    """
    from models.catalog.pull import pull_model, reaches

    with _progress(json_progress) as report:
        report(f"Reaching out to {reaches(source)}", 0.0)
        if not json_progress:
            Terminal.stderr().line(f"Reaching out to {reaches(source)}.")
        uri = pull_model(source, on_progress=report)
    Terminal.stdout().line(json.dumps({"uri": uri}) if as_json else uri)


@models_command.command(
    "measure",
    cls=Command,
    short_help="Measure how fast a model is on this machine.",
    examples=["promptgrad models measure demo", "promptgrad models measure ollama:qwen3:4b --sequences 4"],
)
@_URI
@click.option(
    "--sequences",
    type=click.IntRange(2, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Requests at a time.",
)
@_for_programs
@click.pass_obj
def measure_command(
    context: CommandContext, uri: str, sequences: int, as_json: bool, json_progress: bool
) -> None:
    """Measure a model's prompt and answer tokens per second, alone and with several requests.

    What was measured is remembered for this exact revision on this machine, and listed. Close what
    else is at work meanwhile.
    """
    from promptgrad_tui.views.model_text import speed_text
    from promptgrad_tui.work.machine.model_speed import measure_model

    with _progress(json_progress) as report:
        measured = measure_model(uri, context.project.absolute(), sequences, report)
    Terminal.stdout().line(
        json.dumps({"uri": uri, **measured.as_dict()}) if as_json else speed_text(measured)
    )


@models_command.command(
    "free",
    cls=Command,
    short_help="Take a model out of memory.",
    examples=["promptgrad models free ollama:qwen3:4b", "promptgrad models free demo --stop-runs"],
)
@_URI
@click.option("--stop-runs", is_flag=True, help="Stop the runs that hold it in process; they can be resumed.")
@_for_programs
@click.pass_obj
def free_command(
    context: CommandContext, uri: str, stop_runs: bool, as_json: bool, json_progress: bool
) -> None:
    """Take a model out of memory; nothing is ever deleted from the disk.

    Ollama is asked to unload its model. A model in process belongs to the runs that have it open,
    in this project and in those opened lately: they are named, and stopped if you say so.
    """
    from promptgrad_tui.views.models import freed_lines
    from promptgrad_tui.work.machine.model_freeing import free_model

    with _progress(json_progress):
        freed = free_model(uri, context.project.absolute(), stops_runs=stop_runs)
    terminal = Terminal.stdout()
    terminal.lines([json.dumps(freed.as_dict())] if as_json else freed_lines(freed))


@contextmanager
def _progress(as_json: bool) -> Iterator[Progress]:
    """Show progress on stderr: for a person on a line of its own, for a program as lines of JSON."""
    from promptgrad_tui.views.progress_lines import ProgressLines
    from promptgrad_tui.views.status_line import StatusLine
    from promptgrad_tui.work.run.pace import with_pace

    terminal = Terminal.stderr()
    if not as_json:
        with StatusLine(terminal) as status:
            yield with_pace(status.show)
        return
    try:
        with ProgressLines(terminal.stream) as lines:
            yield lines.show
    except PromptGradError as error:  # told already, as a line of JSON
        click.get_current_context().exit(error.exit_code)

"""`promptgrad models` and `doctor`: what this machine has, and whether it works."""

from __future__ import annotations

import click

from promptgrad_tui.commands.command import Command, Group
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.terminal import Terminal


@click.group(
    "models",
    cls=Group,
    short_help="List the models that can be used here.",
    invoke_without_command=True,
    examples=["promptgrad models", "promptgrad models pull ollama:qwen3:4b"],
)
@click.pass_context
def models_command(ctx: click.Context) -> None:
    """List the models that can be used here.

    That is the demo model, GGUF files in the project and in the usual folders (PROMPTGRAD_MODELS, LM
    Studio, Hugging Face, Ollama's store), and the models of an Ollama server that answers. The first
    line of each is what [model] task takes. A revision is the hash of a model's content; `-` means
    that it is computed at first use.
    """
    if ctx.invoked_subcommand is not None:
        return
    from models.discovery import find_models
    from promptgrad_tui.model_table import model_lines

    terminal = Terminal.stdout()
    for line in model_lines(find_models(ctx.obj.project.absolute()), terminal):
        terminal.line(line)


@models_command.command(
    "pull",
    cls=Command,
    examples=[
        "promptgrad models pull ollama:qwen3:4b",
        "promptgrad models pull hf:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf",
    ],
)
@click.argument("source")
def pull_command(source: str) -> None:
    """Download a model from Ollama's library or from Hugging Face.

    This is the only command that reaches out from this machine. An interrupted download goes on
    where it was.
    """
    from models.pull import pull_model
    from promptgrad_tui.display.status_line import StatusLine

    with StatusLine(Terminal.stderr()) as status:
        uri = pull_model(source, on_progress=status.show)
    Terminal.stdout().line(uri)


@click.command(
    "doctor",
    short_help="Check what is installed and what works.",
    cls=Command,
    examples=["promptgrad doctor"],
)
@click.pass_obj
def doctor_command(context: CommandContext) -> None:
    """Check what is installed and what works, and say what to do about what doesn't.

    Ends with exit code 1 if something that PromptGrad needs is broken.
    """
    from promptgrad_tui.doctor import examine
    from promptgrad_tui.findings import tell

    click.get_current_context().exit(tell(examine(context.project), Terminal.stdout()))

"""`promptgrad models pull`: download a model."""

from __future__ import annotations

import json

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.views.terminal import Terminal


@click.command(
    "pull",
    cls=Command,
    short_help="Download a model from Ollama's library or from Hugging Face.",
    examples=[
        "promptgrad models pull ollama:qwen3:4b",
        "promptgrad models pull hf:Qwen/Qwen3-4B-GGUF",
        "promptgrad models pull hf:Qwen/Qwen3-4B-GGUF:Q8_0",
    ],
)
@click.argument("source")
@program_options
def pull_command(source: str, as_json: bool, json_progress: bool) -> None:
    """Download a model from Ollama's library or from Hugging Face.

    Only this command and `promptgrad data pull` connect to the internet. An interrupted download
    continues where it stopped.
    """
    from models.catalog.pull import pull_model, reaches

    with progress(json_progress) as report:
        report(f"Reaching out to {reaches(source)}", 0.0)
        if not json_progress:
            Terminal.stderr().line(f"Reaching out to {reaches(source)}.")
        uri = pull_model(source, on_progress=report)
    Terminal.stdout().line(json.dumps({"uri": uri}) if as_json else uri)

"""The formats there are, by the names that a person types."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.release.exports.dspy_state import dspy_state
from engine.release.exports.messages import chat_messages
from engine.release.exports.modelfile import modelfile
from engine.release.exports.promptfoo import promptfoo_config
from engine.release.exports.python_file import python_file
from engine.release.exports.source import ExportSource
from engine.release.exports.text import prompt_text

FORMATS: Mapping[str, Callable[[ExportSource], str]] = {
    "text": prompt_text,
    "dspy": dspy_state,
    "messages": chat_messages,
    "modelfile": modelfile,
    "promptfoo": promptfoo_config,
    "python": python_file,
}
"""Each format with what writes it."""


def export(source: ExportSource, to: str) -> str:
    """Return an artifact in the format `to`, one of `FORMATS`.

    Raises:
        ArtifactError: the format can't hold this artifact; the hint names one that can.
    """
    return FORMATS[to](source)

"""The models of this machine as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from promptgrad_tui.display.figures import size_text
from promptgrad_tui.sanitize import one_line, wrap
from promptgrad_tui.terminal import Terminal

if TYPE_CHECKING:
    from models.discovery import FoundModel


def model_lines(models: Iterable[FoundModel], terminal: Terminal) -> Iterator[str]:
    """Yield two lines for each model: the URI that opens it, and what it is."""
    nothing = True
    for model in models:
        nothing = False
        yield terminal.style(one_line(model.uri), bold=True)
        yield from wrap(_facts(model), terminal.columns, "    ", "    ")
    if nothing:
        yield "No model was found."
    yield ""
    yield 'Write one of these into promptgrad.toml, as in: [model] task = "demo"'


def _facts(model: FoundModel) -> str:
    if model.problem:
        return f"can't be used: {model.problem}"
    revision = model.revision.rpartition(":")[2][:12] if model.revision else "-"
    facts = [
        f"revision {revision}",
        size_text(model.size) if model.size else "",
        " ".join(filter(None, (model.architecture, model.parameters, model.quantization))),
        f"context {model.context_length:,}" if model.context_length else "",
        "may not fit into the memory that is free now" if model.fits is False else "",
        f"from {model.place}" if model.place != "demo" else "embedded",
    ]
    return ", ".join(fact for fact in facts if fact)

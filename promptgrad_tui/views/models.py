"""The models of this machine as a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from engine.ground.revision import short_digest
from models.catalog.discovery import find_models
from models.catalog.found import FoundModel
from models.errors import ModelUriError
from promptgrad_tui.views.figures import size_text
from promptgrad_tui.views.model_text import speed_text, value_text
from promptgrad_tui.views.sanitize import one_line, visible, wrap
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.machine.configured_models import configured_models
from promptgrad_tui.work.machine.model_freeing import known_holders
from promptgrad_tui.work.machine.model_holders import Holder, plain_uri

if TYPE_CHECKING:
    from models.catalog.describing import Description


@dataclass(frozen=True)
class ListedModels:
    """What `promptgrad models` lists: each model with the runs that hold it, and this machine's memory."""

    models: list[tuple[FoundModel, list[Holder]]]
    memory_total: int
    memory_free: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        entries = [
            {**model.as_dict(), "held_by": [holder.as_dict() for holder in held]}
            for model, held in self.models
        ]
        return {"models": entries, "memory": {"total": self.memory_total, "free": self.memory_free}}


def list_models(project: Path) -> ListedModels:
    """Look around on this machine; nothing is loaded."""
    found = find_models(project, configured_models(project))
    held: dict[str, list[Holder]] = {}
    for holder in known_holders(project):
        held.setdefault(holder.model, []).append(holder)
    memory = psutil.virtual_memory()
    entries = [(model, held.get(_plain(model.uri, project), [])) for model in found]
    return ListedModels(entries, memory.total, memory.available)


def _plain(uri: str, project: Path) -> str:
    try:
        return plain_uri(uri, project)
    except ModelUriError:
        return uri


def model_lines(listed: ListedModels, terminal: Terminal) -> Iterator[str]:
    """Yield two lines for each model: the URI that opens it, and what it is."""
    for model, held in listed.models:
        yield terminal.style(one_line(model.uri), bold=True)
        yield from wrap(_facts(model, held), terminal.columns, "    ", "    ")
    if not listed.models:
        yield "No model was found."
    yield ""
    yield 'Write one of these into promptgrad.toml, as in: [model] task = "demo"'


def _facts(model: FoundModel, held: list[Holder]) -> str:
    if model.problem:
        return f"can't be used: {model.problem}"
    unverified = " (unverified)" if model.revision and not model.revision.startswith("sha256:") else ""
    revision = short_digest(model.revision) if model.revision else "-"
    facts = [
        f"revision {revision}{unverified}",
        size_text(model.size) if model.size else "",
        " ".join(filter(None, (model.architecture, model.parameters, model.quantization))),
        f"context {model.context_length:,}" if model.context_length else "",
        "no chat template" if model.has_template is False else "",
        "may not fit into the memory that is free now" if model.fits is False else "",
        f"from {model.place}" if model.place != "demo" else "embedded",
        "in memory" if model.is_loaded else "",
        f"held by run {', '.join(holder.run for holder in held)}" if held else "",
        speed_text(model.throughput) if model.throughput else "",
    ]
    return ", ".join(fact for fact in facts if fact)


def description_lines(description: Description, terminal: Terminal) -> Iterator[str]:
    """Yield a model's files, memory, metadata and chat template, each under a heading."""
    sections = {
        "Files": list(description.files),
        "Memory": [f"{name.replace('_', ' ')} {size_text(n)}" for name, n in description.memory.items()],
        "Metadata": [f"{one_line(key)} = {value_text(value)}" for key, value in description.metadata.items()],
        "Chat template": description.chat_template.splitlines() or ["none"],
    }
    for title, rows in sections.items():
        if rows:
            yield terminal.style(title, bold=True)
            yield from (f"  {visible(row)}" for row in rows)

"""The models of this machine as a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.ground.revision import short_digest
from models.catalog.found import FoundModel
from promptgrad_tui.views.figures import count_text, size_text
from promptgrad_tui.views.model_text import speed_text, value_text
from promptgrad_tui.views.sanitize import one_line, visible, wrap
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from models.catalog.describing import Description


@dataclass(frozen=True)
class Holder:
    """A run that a process works on, and a model that it has open."""

    project: str
    run: str
    model: str
    """The model's URI with its path made plain, as `plain_uri` returns it."""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON-ready data."""
        return asdict(self)


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


def model_lines(listed: ListedModels, terminal: Terminal) -> Iterator[str]:
    """Yield two lines for each model: the URI that opens it, and what it is."""
    for model, held in listed.models:
        yield terminal.style(one_line(model.uri), bold=True)
        yield from wrap(_facts(model, held), terminal.columns, "    ", "    ")
    if not listed.models:
        yield "No model was found."
    yield ""
    yield 'Put one of these into promptgrad.toml, for example: [model] task = "demo"'


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
        "may not fit into the free memory" if model.fits is False else "",
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


@dataclass(frozen=True)
class Freed:
    """The outcome of freeing a model: unloaded, never loaded, held by runs, or those runs asked to stop."""

    uri: str
    outcome: Literal["unloaded", "not loaded", "held", "stopping"]
    runs: tuple[Holder, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


def freed_lines(freed: Freed) -> list[str]:
    """Return the outcome of freeing a model."""
    runs = count_text(len(freed.runs), "run")
    outcome = {
        "unloaded": "Unloaded; its files stay where they are.",
        "not loaded": "Nothing holds it in memory.",
        "held": f"{runs} in progress, here or in a project opened recently:",
        "stopping": f"{runs} asked to stop; resume them to continue:",
    }[freed.outcome]
    return [outcome, *(f"  {holder.run} in {one_line(holder.project)}" for holder in freed.runs)]

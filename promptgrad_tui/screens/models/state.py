"""The state of the Models screen: the models on this machine, and the work in progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.catalog.found import FoundModel
from promptgrad_tui.views.progress_lines import ProgressLine
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.work.run.pace import Pace

Work = Literal["hash", "pull", "measure", "free"]
_NOUNS: dict[Work, str] = {"hash": "hash", "pull": "download", "measure": "measurement", "free": "release"}


@dataclass(frozen=True)
class ModelRow:
    """A model, and the runs that hold it in process: each as its id and the folder of its project."""

    model: FoundModel
    held_by: tuple[tuple[str, str], ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether it runs in process, from a file."""
        return self.model.uri == "demo" or self.model.uri.startswith("gguf:")

    @property
    def can_be_freed(self) -> bool:
        """Whether something holds it in memory that can be asked to free it."""
        return bool(self.held_by) or (self.model.uri.startswith("ollama:") and bool(self.model.is_loaded))


@dataclass(frozen=True)
class Inventory:
    """What is here: the rows, and this machine's memory in bytes."""

    rows: Sequence[ModelRow] = ()
    memory_total: int = 0
    memory_free: int = 0

    @classmethod
    def from_json(cls, reply: Mapping[str, Any]) -> Inventory:
        """Return what `promptgrad models --json` printed."""
        rows = [
            ModelRow(
                FoundModel.from_dict(entry),
                tuple((holder["run"], holder["project"]) for holder in entry["held_by"]),
            )
            for entry in reply["models"]
        ]
        return cls(rows, reply["memory"]["total"], reply["memory"]["free"])


@dataclass
class Job:
    """Work in a child process; `size` is the model's, in bytes, where known."""

    work: Work
    name: str
    size: int = 0
    text: str = ""
    done: float = 0.0
    pace: Pace = field(default_factory=Pace)

    def __str__(self) -> str:
        """What is done to which model, in a few words."""
        return f"{_NOUNS[self.work]} of {one_line(self.name)}"

    def take(self, progress: ProgressLine, now: float) -> None:
        """Take in a line of progress that came at a time in seconds."""
        self.text, self.done = progress.text, progress.done
        self.pace.mark(progress.done, now)

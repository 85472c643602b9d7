"""What every subcommand gets from the options before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CommandContext:
    """The folder of the project to work in, and whether errors show their traceback."""

    project: Path
    debug: bool

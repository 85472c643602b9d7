"""Starting a run: on the full screen where a person sits at a terminal, else in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from promptgrad_tui.commands.shared.printing import end

if TYPE_CHECKING:
    from promptgrad_tui.work.run.budget import Budget


def start_run(
    folder: Path,
    overrides: Mapping[str, str],
    seed: int | None,
    budget: Budget,
    *,
    as_json: bool,
    plain: bool,
    quiet: bool,
) -> NoReturn:
    """Run a project and end the command with the run's exit code."""
    from promptgrad_tui.commands.shared.full_screen import has_screen, start_on_screen
    from promptgrad_tui.work.run.headless import Output, start

    if not (as_json or plain or quiet) and has_screen():
        end(start_on_screen(folder, overrides, seed, budget))
    end(start(folder, overrides, seed, budget, Output(as_json=as_json, quiet=quiet)))

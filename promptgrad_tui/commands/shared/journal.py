"""Reading the journal of the project that a command works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from promptgrad_tui.commands.shared.context import CommandContext

if TYPE_CHECKING:
    from engine.journal.journal import Journal


@contextmanager
def reading(context: CommandContext) -> Iterator[Journal]:
    """Open the project's journal for reading."""
    from engine.journal.journal import Journal, journal_path

    with Journal.open(journal_path(context.project), read_only=True) as journal:
        yield journal

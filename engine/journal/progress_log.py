"""A run's main events as log messages, shown even if no logging was set up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from engine.journal.events import Emit, Event
from engine.journal.narration import narrate

_log = logging.getLogger("promptgrad")


def logged(emit: Emit) -> Emit:
    """Return an `emit` that also logs what happens, as INFO of the logger `promptgrad`."""

    def logging_too(event: Event) -> None:
        line = narrate(event)
        if line:
            _log.info(_printable(line))
        emit(event)

    return logging_too


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Print the logger's messages while the context lasts, unless the caller's logging handles them."""
    if _log.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(), _log.level
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)


def _printable(text: str) -> str:
    """Return text of models and data as something that can't act on a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )

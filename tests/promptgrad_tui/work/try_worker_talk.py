"""A conversation with the real Try worker in its own process."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from engine.programs.rules import Rule
from promptgrad_tui.screens.trying.process import Gone, TryProcess
from promptgrad_tui.work.trying.messages import (
    Answered,
    Failed,
    Predict,
    Ready,
    Reply,
    Side,
    Streamed,
    TrySource,
)
from tests.patience import PATIENCE_SECONDS

R = TypeVar("R")

WEDDING = Rule(text="Tickets that mention a wedding list go to events.", trigger="wedding list")
CAMERA = Rule(text="Tickets that mention a camera crew go to press.", trigger="camera crew")
TICKET = "My family shares a wedding list. The catalogue is not what I expected. Hello."


class Talk:
    """What was said so far is in `heard`."""

    def __init__(self, source: TrySource) -> None:
        self.heard: list[Reply | Gone] = []
        self._arrived: queue.SimpleQueue[Reply | Gone] = queue.SimpleQueue()
        self.process = TryProcess(source, self._arrived.put)

    def next(self) -> Reply | Gone:
        self.heard.append(self._arrived.get(timeout=PATIENCE_SECONDS))
        return self.heard[-1]

    def until(self, kind: type[R]) -> R:
        """Wait for the next reply of a kind; a failure that isn't wanted ends the test."""
        while not isinstance(reply := self.next(), kind):
            assert not isinstance(reply, Failed | Gone), reply
        return reply

    def predict(self, number: int, **inputs: str) -> dict[Side, Answered]:
        """Ask for a prediction and wait for both sides."""
        self.process.send(Predict(id=number, inputs=inputs))
        answers = [self.until(Answered), self.until(Answered)]
        return {answer.side: answer for answer in answers}

    def streamed(self, side: Side) -> str:
        return "".join(r.text for r in self.heard if isinstance(r, Streamed) and r.side == side)


@contextmanager
def talk(source: TrySource, *, ready: bool = True) -> Iterator[Talk]:
    """Start a worker, wait until it is ready, and end it after the test."""
    started = Talk(source)
    try:
        if ready:
            started.until(Ready)
        yield started
    finally:
        started.process.close()

"""How many answers of a model are there, and how many are to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeVar

from engine.ground.model import Progress
from engine.journal.events import Event, RolloutFinished

Answer = TypeVar("Answer")


def counted(answers: Iterable[Answer], doing: str, n: int, on_progress: Progress) -> Iterator[Answer]:
    """Yield `n` answers as they come, and report each with what is being done."""
    for done, answer in enumerate(answers, 1):
        on_progress(f"{doing}: {done} of {n} answers", done / n)
        yield answer


def rollout_counter(doing: str, n: int, on_progress: Progress) -> Callable[[Event], None]:
    """Return a listener to events that reports each of `n` rollouts with what is being done."""
    numbers = count(1)  # unlike a generator's, its next number can be taken from many threads at once

    def listen(event: Event) -> None:
        if isinstance(event, RolloutFinished):
            done = next(numbers)
            on_progress(f"{doing}: {done} of {n} answers", done / n)

    return listen

"""What a model is writing right now, for whoever watches; no record of it is kept.

It isn't an event but a small file beside the journal, which is overwritten a few times a second and deleted
when nothing is being written. A file that can't be written never harms a run. Needs no dspy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.ground.files import replace_file
from engine.ground.frozen_model import FrozenModel

_SECONDS_BETWEEN_WRITES = 0.25


class LivePass(FrozenModel):
    """A running analysis pass: its place in the run, and the model's text so far."""

    epoch: int
    batch: int
    number: int
    text: str = ""

    @property
    def place(self) -> tuple[int, int, int]:
        """Epoch, batch, and the pass's number."""
        return self.epoch, self.batch, self.number


_passes: TypeAdapter[tuple[LivePass, ...]] = TypeAdapter(tuple[LivePass, ...])


def live_file(journal: Path, run: str) -> Path:
    """Return the file that holds what a run's model is writing."""
    return journal.parent / "live" / f"{run}.json"


class LiveText:
    """Publishes what a run's analysis passes are writing; safe to use from many threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._under_way: dict[tuple[int, int, int], str] = {}
        self._written_at = 0.0
        # A killed process leaves its last texts behind.
        with suppress(OSError):
            file.unlink(missing_ok=True)

    @contextmanager
    def writing(self, epoch: int, batch: int, number: int) -> Iterator[Callable[[str], None]]:
        """Publish a pass while the context lasts; call the returned function with all of its text so far."""
        place = (epoch, batch, number)

        def show(text: str) -> None:
            with self._lock:
                self._under_way[place] = text
                if time.monotonic() - self._written_at >= _SECONDS_BETWEEN_WRITES:
                    self._write()

        try:
            yield show
        finally:
            with self._lock:
                if self._under_way.pop(place, None) is not None:
                    self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        with suppress(OSError):
            if not self._under_way:
                self._file.unlink(missing_ok=True)
                return
            self._file.parent.mkdir(exist_ok=True)
            passes = _passes.dump_json(tuple(map(_live_pass, self._under_way.items())))
            replace_file(self._file, passes, is_durable=False)


def _live_pass(under_way: tuple[tuple[int, int, int], str]) -> LivePass:
    (epoch, batch, number), text = under_way
    # A server may stop after half a surrogate pair.
    whole = text.encode("utf-8", "replace").decode()
    return LivePass(epoch=epoch, batch=batch, number=number, text=whole)


def read_live_text(file: Path) -> tuple[LivePass, ...]:
    """Return the running passes in order; none if nothing can be read."""
    try:
        passes = _passes.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return ()
    return tuple(sorted(passes, key=lambda live: live.place))

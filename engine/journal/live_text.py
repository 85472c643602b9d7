"""What a model is writing at this moment, for whoever watches: kept nowhere.

It is no event: it lies in a small file beside the journal, which is overwritten a few times a second and
deleted when nothing is being written. A file that can't be written never hurts a run. Needs no dspy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from engine.ground.files import replace_file

_SECONDS_BETWEEN_WRITES = 0.25


class LivePass(BaseModel):
    """An analysis pass that is under way: its place in the run, and the model's text so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    """Return where a run tells what is being written."""
    return journal.parent / "live" / f"{run}.json"


class LiveText:
    """Tells what a run's analysis passes are writing; safe to use from many threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._under_way: dict[tuple[int, int, int], str] = {}
        self._written_at = 0.0
        # A process that was killed has left the texts of its last moment.
        with suppress(OSError):
            file.unlink(missing_ok=True)

    @contextmanager
    def writing(self, epoch: int, batch: int, number: int) -> Iterator[Callable[[str], None]]:
        """Tell of a pass while the context lasts; call what it gives with all of the pass's text so far."""
        place = (epoch, batch, number)

        def hear(text: str) -> None:
            with self._lock:
                self._under_way[place] = text
                if time.monotonic() - self._written_at >= _SECONDS_BETWEEN_WRITES:
                    self._write()

        try:
            yield hear
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
    # A server may send half a surrogate pair, and stop.
    whole = text.encode("utf-8", "replace").decode()
    return LivePass(epoch=epoch, batch=batch, number=number, text=whole)


def read_live_text(file: Path) -> tuple[LivePass, ...]:
    """Return the passes that are under way, in their order; none where nothing can be read."""
    try:
        found = _passes.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return ()
    return tuple(sorted(found, key=lambda live: live.place))

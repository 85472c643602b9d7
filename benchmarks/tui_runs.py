"""The projects that `tui_latency` shows: many recorded runs, or one of very many events.

`python -m benchmarks.tui_runs FOLDER many 50` and `... large 100000`. A process of its own, because to record
a run takes DSPy, which a screen doesn't load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from engine.journal.events import EpochFinished, Event
from tests.promptgrad_tui.screens.recorded import RecordedRun


def write_many(folder: Path, runs: int) -> None:
    """Write a project with many finished runs."""
    for _ in range(runs):
        recorded = RecordedRun(folder, epochs=1, batches=2)
        recorded.write()
        recorded.journal.close()


def write_large(folder: Path, events: int) -> None:
    """Write a project with one run of many events, which goes on."""
    recorded = RecordedRun(folder)
    for event in islice(_without_end(recorded), events):
        recorded.journal.append(recorded.run, event)
    recorded.journal.close()


def _without_end(recorded: RecordedRun) -> Iterator[Event]:
    """Yield the recorded run's events up to its last epoch, and its epochs again and again as later ones."""
    events = list(recorded.events())
    scored = [place for place, event in enumerate(events) if isinstance(event, EpochFinished)]
    baseline, last = scored[0] + 1, scored[-1] + 1
    yield from events[:last]
    for turn in count(1):
        yield from (_later(event, turn, len(scored) - 1) for event in events[baseline:last])


def _later(event: Event, turn: int, epochs: int) -> Event:
    """Return an event as of an epoch that comes later."""
    changed: dict[str, object] = {"id": f"{event.id}/{turn}"}
    if epoch := getattr(event, "epoch", 0):
        changed["epoch"] = epoch + epochs * turn
    return event.model_copy(update=changed)


if __name__ == "__main__":
    {"many": write_many, "large": write_large}[sys.argv[2]](Path(sys.argv[1]), int(sys.argv[3]))

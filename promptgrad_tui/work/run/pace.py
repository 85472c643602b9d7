"""How fast a piece of work goes, and how long the rest of it takes at that rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from promptgrad_tui.views.figures import rough_duration_text

_WINDOW_SECONDS = 10.0
_SHORTEST_SECONDS = 0.5


@dataclass
class Pace:
    """The share of a piece of work done per second, over the last ten seconds."""

    _marks: deque[tuple[float, float]] = field(default_factory=deque)

    def mark(self, done: float, now: float) -> None:
        """Note that a share (0..1) is done at a time in seconds; a smaller share begins another piece."""
        if self._marks and done < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW_SECONDS:
            self._marks.popleft()

    @property
    def per_second(self) -> float | None:
        """The share done per second, or None while too little was seen to say."""
        if not self._marks:
            return None
        (start, before), (end, done) = self._marks[0], self._marks[-1]
        if end - start < _SHORTEST_SECONDS or done <= before:
            return None
        return (done - before) / (end - start)

    @property
    def seconds_left(self) -> float | None:
        """The time that the rest takes, or None while too little was seen to say."""
        rate = self.per_second
        return (1.0 - self._marks[-1][1]) / rate if rate else None


def with_pace(show: Callable[[str, float], None]) -> Callable[[str, float], None]:
    """Return a way to show progress that adds the time left to each sentence."""
    pace = Pace()

    def paced(text: str, done: float) -> None:
        pace.mark(done, time.monotonic())
        left = pace.seconds_left
        show(f"{text}, {rough_duration_text(left)} left" if left and done < 1 else text, done)

    return paced

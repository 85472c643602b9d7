"""Fewer threads while other programs hold the cores, and all of them again once they are free.

llama.cpp's threads meet some hundred times in a step. Where another program takes the core of one of them,
the others wait each time until it is given back, and a step that takes a millisecond on a quiet machine takes
fifty: one thread, that waits for nobody, is then many times as fast.
"""

from __future__ import annotations

from statistics import median

_WINDOW = 16
"""Steps over which waiting is measured."""
_WAITS = 0.75
"""Where the scheduler's thread runs for less than this share of a step, it waits for others."""
_RUNS = 0.9
"""Where it runs for more than this share, more threads may have a core of their own again."""
_SAMPLES = 5
"""Steps that a trial takes with either number of threads, in turn."""
_WORTH_IT = 0.8
"""What the other number may take of the present one's time to be preferred: the rest may be noise."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 16, 2048
"""Steps between trials; each that changes nothing doubles them."""


class ThreadChoice:
    """Chooses `threads` for each next step by what the steps before it took; at most `most`."""

    def __init__(self, most: int) -> None:
        self._ladder = _halves(most)
        self._level = len(self._ladder) - 1
        self._pause = _SHORTEST_PAUSE
        self._since_trial = 0
        self._window: list[tuple[float, float]] = []
        self._trial: _Trial | None = None

    @property
    def threads(self) -> int:
        """How many threads the next step is to have."""
        return self._ladder[self._trial.level if self._trial else self._level]

    def stepped(self, seconds: float, cpu_seconds: float, tokens: int, *, answers: bool) -> None:
        """Take in what a step took: by the clock, and of that on a core, in the thread that leads it.

        `answers` tells steps of answers from those of prompts; only steps of one kind are compared.
        """
        if self._trial is None:
            self._watch(seconds, cpu_seconds, answers=answers)
        elif self._trial.is_about(answers=answers):
            self._trial.add(seconds / tokens)
            if self._trial.is_over:
                self._conclude(self._trial)

    def _watch(self, seconds: float, cpu_seconds: float, *, answers: bool) -> None:
        self._since_trial += 1
        self._window.append((seconds, cpu_seconds))
        if len(self._window) < _WINDOW:
            return
        running = sum(cpu for _, cpu in self._window) / max(sum(wall for wall, _ in self._window), 1e-9)
        self._window.clear()
        if self._since_trial < self._pause:
            return
        if running < _WAITS and self._level > 0:
            self._trial = _Trial(self._level, self._level - 1, answers=answers)
        elif running > _RUNS and self._level < len(self._ladder) - 1:
            self._trial = _Trial(self._level, self._level + 1, answers=answers)

    def _conclude(self, trial: _Trial) -> None:
        if trial.is_won:
            self._level = trial.other
            self._pause = _SHORTEST_PAUSE
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._trial = None
        self._since_trial = 0


class _Trial:
    """Steps with the present number of threads and another one, in turn, so that a busy moment hits both."""

    def __init__(self, present: int, other: int, *, answers: bool) -> None:
        self._present = present
        self.other = other
        self._answers = answers
        self._taken: list[float] = []

    @property
    def level(self) -> int:
        """The place on the ladder that the next step is to have."""
        return self.other if len(self._taken) % 2 else self._present

    def is_about(self, *, answers: bool) -> bool:
        """Whether steps of that kind are compared."""
        return self._answers == answers

    def add(self, seconds_per_token: float) -> None:
        """Take in a step that had the threads of `level`."""
        self._taken.append(seconds_per_token)

    @property
    def is_over(self) -> bool:
        """Whether both numbers had their steps."""
        return len(self._taken) == 2 * _SAMPLES

    @property
    def is_won(self) -> bool:
        """Whether the other number is faster by more than noise."""
        return median(self._taken[1::2]) < _WORTH_IT * median(self._taken[0::2])


def _halves(most: int) -> list[int]:
    """Return 1, and on by halves of `most` up to it: 1, 2, 4, 8 or 1, 3, 6."""
    ladder = []
    while most:
        ladder.append(most)
        most //= 2
    return ladder[::-1]

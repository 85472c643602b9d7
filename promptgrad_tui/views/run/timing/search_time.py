"""The time that a run spends apart from its calls: on screening, and on reading what their prompts share."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.journal.events import (
    Event,
    PhaseStarted,
    RolloutFinished,
    RunFinished,
    RunResumed,
    RunStarted,
    ValidationStarted,
)
from engine.journal.learning_events import LayerTested, LayerTestStarted


@dataclass
class SearchTime:
    """How long a run has searched; the search of an epoch takes about as long as that of the one before.

    Scorings write no event of their own, so the time for them would make calls look slow. So would the first
    answer of a test of demonstrations or a set: it waits for the model to read all that its prompts share.
    """

    calls: int = 0
    _epochs: int = 1
    _epoch: int = 0
    _since: float | None = None
    _is_reading: bool = False
    _counted: float = 0.0
    _by_epoch: dict[int, float] = field(default_factory=dict)

    @property
    def is_going_on(self) -> bool:
        """Whether the run is searching, or reads a new prompt."""
        return self._since is not None

    def apply(self, event: Event) -> None:
        """Take in the beginning or the end of a search."""
        match event:
            case RunStarted():
                self._epochs = event.config.get("epochs", 1)
            case PhaseStarted(phase="demonstrations" | "screening" | "proposals"):
                self._end(event.time)
                self._since, self._epoch = event.time, event.epoch
            case PhaseStarted():
                self._end(event.time)
                self._epoch = max(self._epoch, event.epoch)
            case LayerTestStarted():
                self._end(event.time)
                self._since, self._epoch = event.time, event.epoch
                self._is_reading = True
            case RolloutFinished() if self._is_reading:
                self._end(event.time)
            case LayerTested() | ValidationStarted() | RunResumed() | RunFinished():
                self._end(event.time)
            case _:
                pass

    def restart(self, time: float) -> None:
        """Count from now on."""
        self.calls, self._counted = 0, 0.0
        self._since = time if self.is_going_on else None

    def seconds(self, now: float) -> float:
        """Return the time since the restart that went into searching."""
        return self._counted + (max(now - self._since, 0.0) if self._since is not None else 0.0)

    def seconds_left(self, now: float) -> float:
        """Return how long the searches to come will take, as far as earlier ones say."""
        earlier = [seconds for epoch, seconds in self._by_epoch.items() if epoch != self._epoch]
        known = earlier[-1:] or list(self._by_epoch.values())
        if not known:
            return 0.0
        spent = self._by_epoch.get(self._epoch, 0.0) + (now - self._since if self._since is not None else 0.0)
        here = max(known[0] - spent, 0.0) if self.is_going_on and earlier else 0.0
        return here + max(self._epochs - self._epoch, 0) * known[0]

    def _end(self, time: float) -> None:
        self._is_reading = False
        if self._since is not None:
            seconds = max(time - self._since, 0.0)
            self._counted += seconds
            self._by_epoch[self._epoch] = self._by_epoch.get(self._epoch, 0.0) + seconds
            self._since = None

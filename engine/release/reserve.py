"""The part of a budget that is kept for the test split: a run that uses up the rest is scored too."""

from __future__ import annotations

from collections.abc import Callable

from engine.ground.errors import BudgetTooSmallError
from engine.journal.control import RunControl
from engine.journal.events import BatchScored, EpochFinished, Event
from engine.journal.replay import Replay


class Reserve:
    """Keeps as many of a run's calls and minutes as the proof of its rules takes: `proof_calls` counts them.

    Raises:
        BudgetTooSmallError: `max_calls` is no more than that.
    """

    def __init__(
        self, proof_calls: Callable[[], int], replay: Replay, control: RunControl, max_calls: int | None
    ) -> None:
        self._proof_calls = proof_calls
        self._replay = replay
        self._control = control
        self._max_calls = max_calls
        self._is_kept = True
        calls = proof_calls()
        if max_calls is not None and max_calls <= calls:
            raise BudgetTooSmallError(
                f"{max_calls} calls don't pay for more than the test split ({calls} calls).",
                hint="Give more with --max-calls, or use a smaller test split.",
            )
        self._keep(calls)

    def update(self, event: Event) -> None:
        """Recompute the reserve between rollouts, when the cost of one is better known."""
        if self._is_kept and isinstance(event, BatchScored | EpochFinished):
            self._keep(self._proof_calls())

    def release(self) -> str:
        """Release the reserve for the proof, however late it is; return a sentence on its size."""
        calls, self._is_kept = self._calls, False
        self._keep(0)
        self._control.release_deadline()
        if self._max_calls is not None:
            return f"Of {self._max_calls} calls, {calls} were kept for the test split."
        minutes = calls * self._replay.seconds_per_call / 60
        return f"Of the minutes, {minutes:.1f} were kept for the test split."

    def _keep(self, calls: int) -> None:
        self._calls = calls
        if self._max_calls is not None:
            self._replay.max_calls = max(self._max_calls - calls, 0)
        # The pace changes as the run goes on, so the seconds are computed at each checkpoint.
        self._control.reserve = lambda: calls * self._replay.seconds_per_call

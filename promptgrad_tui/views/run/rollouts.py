"""A run's rollouts, found by example and rules, and the recent rate of tokens."""

from __future__ import annotations

from collections import deque

from engine.journal.events import RolloutFinished
from promptgrad_tui.views.run.rows import BatchStory, RolloutRow

_RATE_SECONDS = 10.0


class Rollouts:
    """The rollouts of a run, in order of arrival."""

    def __init__(self) -> None:
        self.rows: list[RolloutRow] = []
        self._of_example: dict[str, list[RolloutRow]] = {}
        self._spent: deque[tuple[float, int]] = deque()

    def add(self, seq: int, event: RolloutFinished) -> RolloutRow:
        """Take in a rollout and return its row."""
        tokens = event.tokens.prompt + event.tokens.completion
        row = RolloutRow(
            *(seq, event.example, event.split, event.rules, event.repeat, event.score, event.is_success),
            *(event.error_type, tokens, event.seconds),
        )
        self.rows.append(row)
        self._of_example.setdefault(event.example, []).append(row)
        self._spent.append((event.time, tokens))
        while self._spent and self._spent[0][0] < event.time - _RATE_SECONDS:
            self._spent.popleft()
        return row

    def find(self, example: str, rules: str, before_seq: int | None = None) -> RolloutRow | None:
        """Return the rollout of an example under a rule set.

        With conditional rules or demonstrations an example meets only some of them: then it is its latest
        rollout before the event with the number `before_seq`.
        """
        rows = self._of_example.get(example, ())
        for row in rows:
            if row.rules == rules and row.repeat == 0:
                return row
        if before_seq is None:
            return None
        earlier = [row for row in rows if row.seq < before_seq and row.repeat == 0]
        return earlier[-1] if earlier else None

    def of_batch(self, batch: BatchStory, *, is_current: bool) -> list[RolloutRow]:
        """Return a batch's rollouts, the failures first; in order of arrival until it is scored."""
        if batch.scored is None:
            return self.rows[-batch.done :] if is_current and batch.done else []
        failed = set(batch.scored.failures)
        rows = [self.find(example, batch.scored.rules, batch.seq) for example in batch.scored.examples]
        return sorted(
            (row for row in rows if row), key=lambda row: (row.example not in failed, row.error_type)
        )

    def tokens_per_second(self, now: float) -> float | None:
        """Return the rate of the last ten seconds, prompt and answer tokens together."""
        recent = [(when, tokens) for when, tokens in self._spent if when > now - _RATE_SECONDS]
        if len(recent) < 2:
            return None
        return sum(tokens for _, tokens in recent) / max(now - recent[0][0], 0.5)

    def restart_rate(self) -> None:
        """Forget the rate of an earlier process."""
        self._spent.clear()

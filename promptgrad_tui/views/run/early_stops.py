"""What a run saved because tests stopped for futility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.run.story import RunStory


@dataclass(frozen=True)
class EarlyStops:
    """How many tests of a run stopped early, and how many calls of the model that saved."""

    tests: int
    calls: int

    @classmethod
    def of(cls, story: RunStory) -> Self:
        """Return what stopping early saved in a run so far."""
        batches = story.batches.values()
        alone = [test.evidence for batch in batches for test in batch.validations if test.evidence]
        sets = [test.evidence for batch in batches for test in batch.sets]
        stopped = [evidence for evidence in (*alone, *sets) if evidence.left_out]
        return cls(len(stopped), sum(evidence.saved_calls for evidence in stopped))

    @property
    def text(self) -> str:
        """What was saved, in a sentence; "" if no test stopped early."""
        if not self.tests:
            return ""
        return f"{count_text(self.tests, 'test')} stopped early, which saved {count_text(self.calls, 'call')}"

"""What the compare screen shows of a comparison: which split, which examples, which way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from promptgrad_tui.views.comparison.changes import CHANGES, Change, ExampleChange, HeldOut
from promptgrad_tui.views.comparison.comparison import Comparison

Filter: TypeAlias = Change | Literal["all", "changed"]

FILTERS: tuple[Filter, ...] = ("changed", *CHANGES, "all")
_CHANGED: tuple[Change, ...] = ("broken", "fixed")


class CompareState:
    """A comparison as a person looks at it."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.split: HeldOut = comparison.split
        # What one wants to know is what has changed: where anything has, it is seen first.
        self.filter: Filter = "changed"
        self._keep_filter()

    def rows(self) -> Sequence[ExampleChange]:
        """Return the examples that the filter lets through."""
        changes = self.comparison.changes.get(self.split, ())
        if self.filter == "all":
            return changes
        wanted = _CHANGED if self.filter == "changed" else (self.filter,)
        return [change for change in changes if change.change in wanted]

    def counts(self) -> dict[Filter, int]:
        """Return how many examples each filter lets through."""
        counts = self.comparison.counts(self.split)
        changed = sum(counts[name] for name in _CHANGED)
        of_each: dict[Filter, int] = {name: counts[name] for name in CHANGES}
        return {"changed": changed, **of_each, "all": counts.total()}

    def next_filter(self, step: int = 1) -> None:
        """Go to the next filter that lets an example through, or to the one before."""
        counts = self.counts()
        filled = [name for name in FILTERS if name == "all" or counts[name]]
        place = filled.index(self.filter) if self.filter in filled else 0
        self.filter = filled[(place + step) % len(filled)]

    @property
    def has_other_split(self) -> bool:
        """Whether both programs answered examples of another split too."""
        return len(self.comparison.changes) > 1

    def show_other_split(self) -> None:
        """Go to the other split, if there is one."""
        if self.has_other_split:
            self.split = "validation" if self.split == "test" else "test"
            self._keep_filter()

    def renew(self, comparison: Comparison) -> None:
        """Look at what was measured since, or at the same the other way round."""
        self.comparison = comparison
        if self.split not in comparison.changes:
            self.split = comparison.split
        self._keep_filter()

    def _keep_filter(self) -> None:
        if not self.counts()[self.filter]:
            self.filter = "all"

"""The change in each held-out example between two programs: fixed, broken, failing or the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptgrad_tui.views.answers import Answer

HeldOut: TypeAlias = Literal["validation", "test"]
Change: TypeAlias = Literal["fixed", "broken", "failing", "same"]

SPLITS: tuple[HeldOut, ...] = ("validation", "test")
CHANGES: Mapping[Change, str] = {
    "fixed": "wrong before, right now",
    "broken": "right before, wrong now",
    "failing": "wrong before and now",
    "same": "right before and now",
}
"""What the changes mean."""
CHANGED: Sequence[Change] = ("fixed", "broken")


@dataclass(frozen=True)
class ExampleChange:
    """One held-out example: its fields, and the answers of the program before and of the one after."""

    key: str
    name: str
    slice: str
    fields: Mapping[str, str]
    before: Answer
    after: Answer

    @property
    def change(self) -> Change:
        """Whether the example was fixed, broken, failing or the same."""
        if self.after.is_success:
            return "same" if self.before.is_success else "fixed"
        return "broken" if self.before.is_success else "failing"

    @property
    def expected(self) -> dict[str, str]:
        """The fields that one of the programs answers, with the values that are right."""
        answered = {*(self.before.prediction or ()), *(self.after.prediction or ())}
        return {name: value for name, value in self.fields.items() if name in answered}

    @property
    def inputs(self) -> dict[str, str]:
        """The other fields."""
        return {name: value for name, value in self.fields.items() if name not in self.expected}

"""Which slices a screen or a terminal has room for: a field with sixty values fills no page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

MOST_SLICES = 12


class _Counted(Protocol):
    @property
    def failures(self) -> int: ...


Scored = TypeVar("Scored", bound=_Counted)


def shown_slices(slices: Mapping[str, Scored]) -> dict[str, Scored]:
    """Return all slices where they are few, else those with the most wrong answers, in their order."""
    worst = sorted(slices, key=lambda name: -slices[name].failures)[:MOST_SLICES]
    return {name: scores for name, scores in slices.items() if name in worst}


def hidden_text(slices: Mapping[str, _Counted], all_by: str = "promptgrad report --html") -> str:
    """Return what to say of the slices that aren't shown, or nothing; the command `all_by` shows all."""
    hidden = len(slices) - MOST_SLICES
    return f"and {hidden} more with fewer wrong answers; `{all_by}` shows all" if hidden > 0 else ""

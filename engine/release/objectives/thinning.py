"""Leaving out what isn't missed: whole sets first, then halves of them, then single parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")


def thinned(parts: Sequence[Part], may_go: Callable[[Sequence[Part]], bool], smallest: int = 1) -> list[Part]:
    """Return the parts that are left once nothing more may go, in their order.

    `may_go` is asked with what would be left. A set that may not go as a whole is tried in halves, so that
    few questions are asked where much or little may go; parts that fewer than `smallest` are together aren't
    divided. The later half is tried first. Source: delta debugging, Zeller & Hildebrandt 2002.
    """
    kept = list(enumerate(parts))

    def visit(chunk: Sequence[tuple[int, Part]]) -> None:
        nonlocal kept
        gone = {number for number, _ in chunk}
        rest = [one for one in kept if one[0] not in gone]
        if may_go([part for _, part in rest]):
            kept = rest
        elif len(chunk) > smallest:
            half = (len(chunk) + 1) // 2
            visit(chunk[half:])
            visit(chunk[:half])

    if kept:
        visit(list(kept))
    return [part for _, part in kept]


def most_questions(n: int, smallest: int = 1) -> int:
    """Return how often `thinned` asks about `n` parts at most, which it does if nothing may go."""
    if n <= smallest:
        return min(n, 1)
    half = (n + 1) // 2
    return 1 + most_questions(half, smallest) + most_questions(n - half, smallest)

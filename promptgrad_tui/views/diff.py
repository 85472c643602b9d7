"""A diff of two texts."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

Sign: TypeAlias = Literal["+", "-", " "]


def line_diff(before: str, after: str) -> Iterator[tuple[Sign, str]]:
    """Yield the lines of both texts in order: `-` before removed ones, `+` before added ones."""
    old, new = before.split("\n"), after.split("\n")
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from ((" ", line) for line in old[i:j])
            continue
        yield from (("-", line) for line in old[i:j])
        yield from (("+", line) for line in new[k:m])

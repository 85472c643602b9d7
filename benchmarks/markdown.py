"""Tables and shares as the pages that benchmarks write show them."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float) -> str:
    """Return a share (0..1) with one decimal."""
    return f"{share:.1%}".replace("%", " %")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""Inputs and expected outputs that hold nothing: mostly rows that somebody hasn't finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.project.splits import Splits
from promptgrad_tui.work.check.findings import Finding


def blank_fields(splits: Splits, names: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning for each field that is null, or text without a letter, in some examples."""
    for name in dict.fromkeys(names):
        blank = [example.where for example in splits.examples if _is_blank(example.values.get(name, ...))]
        if blank:
            more = f", and in {len(blank) - 1} more" if len(blank) > 1 else ""
            yield Finding(
                "warn",
                "data",
                f"The field {name!r} is empty in {blank[0]}{more}.",
                "Fill it in or remove the example, unless nothing is what you mean.",
                field="data.train",
            )


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

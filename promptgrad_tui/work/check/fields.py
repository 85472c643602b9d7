"""What looks wrong in the fields of the examples, before a run trips over it: blanks, and mixed kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.project.data import LoadedExample
from engine.project.splits import Splits
from promptgrad_tui.views.findings import Finding

_KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}


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


def mixed_fields(splits: Splits, names: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning for each field that is, say, an object in one example and text in another."""
    for name in dict.fromkeys(names):
        first: dict[str, LoadedExample] = {}
        for example in splits.examples:
            value = example.values.get(name)
            if value is not None:
                first.setdefault(_kind(value), example)
        if len(first) > 1:
            kinds = ", and ".join(f"{kind} in {example.where}" for kind, example in first.items())
            csv = any(example.file.suffix.lower() in (".csv", ".tsv") for example in first.values())
            yield Finding(
                "warn",
                "data",
                f"The field {name!r} is {kinds}.",
                "Write it alike everywhere." + (" What a CSV file holds is always text." if csv else ""),
                field="data.train",
            )


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "an object")

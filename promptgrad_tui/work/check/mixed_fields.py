"""Fields that hold different kinds of values in different examples: a check names them before a run fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.project.data import LoadedExample
from engine.project.splits import Splits
from promptgrad_tui.work.check.findings import Finding

_KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}


def mixed_fields(splits: Splits, names: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning for each field that is, say, an object in one example and text in another."""
    for name in dict.fromkeys(names):
        first: dict[str, LoadedExample] = {}
        for example in splits.examples:
            value = example.values.get(name)
            if value is not None:
                first.setdefault(_kind(value), example)
        if len(first) > 1:
            told = ", and ".join(f"{kind} in {example.where}" for kind, example in first.items())
            csv = any(example.file.suffix.lower() in (".csv", ".tsv") for example in first.values())
            yield Finding(
                "warn",
                "data",
                f"The field {name!r} is {told}.",
                "Write it alike everywhere." + (" What a CSV file holds is always text." if csv else ""),
                field="data.train",
            )


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "an object")

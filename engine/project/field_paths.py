"""`[data.fields]`: where a data file keeps what the program calls by another name."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

CONSTANT = "="
"""What a value begins with that is the same in every example: `language = "=en"`."""

_MISSING = object()


def renamed(values: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return an example's values under the program's names.

    A source is a column's name, a path such as `outputs.label` or `assert.0.value`, or a constant. What is
    not there stays away: whoever needs it says so. Columns that aren't named keep their names.
    """
    taken: set[str] = set()
    found: dict[str, Any] = {}
    for name, source in fields.items():
        if source.startswith(CONSTANT):
            found[name] = source.removeprefix(CONSTANT)
            continue
        value = _at(values, source)
        if value is not _MISSING:
            found[name] = value
            taken.add(column_of(source, values))
    return found | {name: value for name, value in values.items() if name not in taken and name not in found}


def column_of(source: str, columns: Container[str]) -> str:
    """Return the column that a source is read from: the one of that name, or where its path begins."""
    return source if source in columns else source.partition(".")[0]


def _at(values: Any, source: str) -> Any:
    """Return the value at a path; a key that holds dots itself comes first."""
    if isinstance(values, Mapping) and source in values:
        return values[source]
    head, dot, rest = source.partition(".")
    if isinstance(values, Mapping) and head in values:
        inner = values[head]
    elif isinstance(values, list) and head.isdecimal() and int(head) < len(values):
        inner = values[int(head)]
    else:
        return _MISSING
    return _at(inner, rest) if dot else inner

"""Examples as they are known everywhere: in their split, by the content of their fields, and by a name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from engine.ground.score import Example

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Item:
    """An example with its content key and the split it belongs to."""

    key: str
    split: Split
    values: Example
    inputs: dict[str, Any]


def example_name(values: Mapping[str, Any], key: str) -> str:
    """Return an example's id as text, or its key if it has no id."""
    name = values.get("id")
    return key if name is None else str(name)


def example_key(values: Mapping[str, Any], fields: Iterable[str]) -> str:
    """Return sixteen hexadecimal digits of a hash of `fields`; their order doesn't matter."""
    content = {field: values[field] for field in fields if field in values}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:16]


def input_key(values: Mapping[str, Any], inputs: Collection[str]) -> str:
    """Return the key of an example's inputs; a program without named `inputs` sees every field."""
    return example_key(values, inputs or public_fields(values))


def public_fields(values: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that identify an example: all but `id` and those that begin with `_`."""
    return sorted(field for field in values if field != "id" and not field.startswith("_"))

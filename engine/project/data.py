"""Examples: read from a file, checked, and known by their content."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError, PromptGradError
from engine.ground.examples import example_key, example_name, public_fields
from engine.project.data_files import FileLine, files_of, line_error, read_rows, shown, snippet
from engine.project.field_paths import column_of, renamed
from engine.project.settings import Project


@dataclass(frozen=True)
class LoadedExample:
    """One example, with the file and the line (from 1; a row in Parquet) that it was read from."""

    values: dict[str, Any]
    file: Path
    line: int
    key: str
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Fields that were left out because no example can hold them, each with what is in it, such as bytes."""

    @property
    def name(self) -> str:
        """The example's id as text, or its key if it has none."""
        return example_name(self.values, self.key)

    @property
    def at(self) -> FileLine:
        """File and line."""
        return self.file, self.line

    @property
    def where(self) -> str:
        """File and line, as an error names them."""
        return f"{shown(self.file)}, line {self.line}"


@contextmanager
def placing_errors(examples: Iterable[LoadedExample]) -> Iterator[None]:
    """Give an error about one of `examples` the example's file and line, which find one without an id."""
    try:
        yield
    except PromptGradError as error:
        error.example_place = next((each.where for each in examples if each.key == error.example), "")
        raise


def dataset_digest(examples: Iterable[LoadedExample]) -> str:
    """Return `sha256:` and 64 hexadecimal digits of the examples' content, in their order."""
    return f"sha256:{sha256(' '.join(example.key for example in examples).encode()).hexdigest()}"


def load_split(project: Project, named: str) -> list[LoadedExample]:
    """Read the examples of the files that a split of a project names, under the program's names.

    Those that [data] exclude names are left out.

    Raises:
        DataError: a file can't be read, or holds something other than examples; or all are excluded.
    """
    examples = load_examples(files_of(project.root, named), project.data.id, project.data.fields)
    excluded = set(project.data.exclude)
    kept = [example for example in examples if not excluded & {example.key, example.name}]
    if not kept:
        raise DataError(
            f"All examples of {named} are excluded.", hint="Shorten [data] exclude.", field="data.exclude"
        )
    return kept


def load_examples(
    paths: Path | Sequence[Path], id_field: str | None = None, fields: Mapping[str, str] | None = None
) -> list[LoadedExample]:
    """Read every example of one or more files, each in the format of its suffix.

    `id_field` names the field with an example's name and becomes the field `id`; `fields` says where other
    fields are, as `[data.fields]` does.

    Raises:
        DataError: a file can't be read, or holds something other than examples.
    """
    examples = [
        example
        for path in ([paths] if isinstance(paths, Path) else paths)
        for example in load_rows(path, id_field, fields or {})
    ]
    _refuse_repeated_ids(examples)
    return examples


def load_rows(path: Path, id_field: str | None, fields: Mapping[str, str]) -> list[LoadedExample]:
    """Read every example of one file, as `load_examples` does; ids may be repeated.

    Raises:
        DataError: the file can't be read, or holds something other than examples.
    """
    examples = [_example(path, line, values, id_field, fields) for line, values in read_rows(path)]
    if not examples:
        raise DataError(f"{shown(path)} holds no examples.", hint="Add one example per line.", file=path)
    return examples


def _example(
    path: Path, line: int, row: Any, id_field: str | None, fields: Mapping[str, str]
) -> LoadedExample:
    at = (path, line)
    if not isinstance(row, dict):
        raise line_error(
            at,
            f"{snippet(json.dumps(row))} isn't an object.",
            hint='An example is an object of fields, as in {"ticket": "...", "queue": "..."}.'
            + (" A file with a list of them must end in .json." if isinstance(row, list) else ""),
        )
    values, unusable = _usable(row, fields)
    if not row or not values:
        held = "; ".join(f"the field {name!r} holds {kind}" for name, kind in unusable.items())
        raise line_error(
            at,
            f"{held or 'the example has no fields'}.",
            hint="Remove it, or give it fields that can be used.",
        )
    _refuse_half_characters(at, "", values)
    if id_field is not None and id_field != "id":
        if id_field not in values:
            problem = f"holds {unusable[id_field]}" if id_field in unusable else "is missing"
            raise line_error(
                at,
                f"the field {id_field!r} {problem}.",
                hint="[data] id names it: add it, or drop id.",
                field="data.id",
            )
        values = {"id": values[id_field]} | {key: v for key, v in values.items() if key != id_field}
    return LoadedExample(values, path, line, example_key(values, public_fields(values)), unusable)


def _usable(row: Mapping[str, Any], fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a row under the program's names, without what no example can hold, and what that holds."""
    left_out: Mapping[str, str] = getattr(row, "unusable", {})
    unusable = {name: kind for name, kind in left_out.items() if name not in fields}
    for name, source in fields.items():
        column = column_of(source, left_out)
        if column in left_out:
            unusable[name] = left_out[column]
    values = renamed(row, fields)
    unusable |= {name: number for name, value in values.items() if (number := _not_finite(value))}
    return {name: value for name, value in values.items() if name not in unusable}, unusable


def _not_finite(value: Any) -> str:
    """Return the first number in a value that JSON can't hold, such as `nan`, or nothing."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else str(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        if number := _not_finite(item):
            return number
    return ""


def _refuse_half_characters(at: FileLine, field: str, value: Any) -> None:
    if isinstance(value, str):
        _refuse_half_character(at, field, value)
    if isinstance(value, dict):
        for key, item in value.items():
            name = f"{field}.{key}" if field else key
            _refuse_half_character(at, name, key)
            _refuse_half_characters(at, name, item)
    if isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_half_characters(at, f"{field}[{number}]", item)


def _refuse_half_character(at: FileLine, field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise line_error(
            at,
            f"the field {field!r} holds half a character (a lone surrogate).",
            hint="Write the file as UTF-8 again, from its source.",
        ) from None


def _place(example: LoadedExample, seen_from: LoadedExample) -> str:
    return f"line {example.line}" if example.file == seen_from.file else example.where


def _refuse_repeated_ids(examples: Collection[LoadedExample]) -> None:
    seen: dict[str, LoadedExample] = {}
    for example in examples:
        if example.values.get("id") is None:
            continue
        first = seen.setdefault(example.name, example)
        if first is not example:
            raise line_error(
                example.at,
                f"the id {example.values['id']!r} is already used on {_place(first, example)}.",
                hint="Give each example of a split its own id.",
            )

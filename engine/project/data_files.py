"""The files that examples are read from: JSONL, JSON, CSV, YAML and tables, each row with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.project.formats.csv_files import csv_rows
from engine.project.formats.json_places import elements, member, skip_space
from engine.project.formats.tables import excel_rows, parquet_rows
from engine.project.formats.text import FileLine, line_break, line_error, read_text, shown, snippet
from engine.project.formats.yaml_files import LISTS, yaml_rows

__all__ = ["FileLine", "files_of", "line_error", "read_rows", "shown", "snippet"]


_LONGEST_NAME = 255
"""Bytes that a name of a file or folder may have, on all common systems."""


def files_of(folder: Path, named: str) -> list[Path]:
    """Return the files that a split names: a path, several with commas between them, or patterns with `*`.

    Raises:
        DataError: a pattern fits no file, or a name is empty or can't be one.
    """
    _refuse_impossible(named)
    if _is_file(folder / Path(named).expanduser()):  # a name may hold commas and brackets itself
        return [folder / Path(named).expanduser()]
    parts = [part.strip() for part in named.split(",")]
    if not all(parts):
        raise DataError(
            f"{named!r} in [data] names no file before or after a comma.", hint="Remove the comma."
        )
    return [path for part in parts for path in _matching(folder, part)]


def _refuse_impossible(named: str) -> None:
    if "\0" in named or any(len(name.encode()) > _LONGEST_NAME for name in re.split(r"[/\\,]", named)):
        raise DataError(
            f"{snippet(named)!r} in [data] can't be the name of a file.", hint="Correct the path in [data]."
        )


def _matching(folder: Path, part: str) -> list[Path]:
    path = folder / Path(part).expanduser()
    if not set(part) & set("*?[") or _is_file(path):
        return [path]
    base = Path(path.anchor)
    try:
        found = sorted(file for file in base.glob(str(path.relative_to(base))) if file.is_file())
    except ValueError as error:
        raise DataError(
            f"The pattern {part!r} can't be used: {str(error).lower()}.",
            hint="Correct the pattern in [data]: * stands for a part of a name, ** for folders.",
        ) from error
    if not found:
        raise DataError(f"No file fits {shown(path)}.", hint="Correct the pattern in [data].")
    return found


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the values in a file, each with its line (from 1; a row in Parquet); the suffix gives the format.

    Raises:
        DataError: there is no such file, its suffix is unknown, or it is damaged.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"{shown(path)} has an unknown suffix.",
            hint=f"Examples are read from {', '.join(_READERS)}.",
            file=path,
        )
    if not _is_file(path):
        raise DataError(_absence(path), hint=_neighbours(path), file=path)
    yield from read(path)


def _is_file(path: Path) -> bool:
    """Whether a path leads to a file; a link that leads to itself doesn't.

    Raises:
        DataError: a folder on the way can't be entered.
    """
    try:
        return path.is_file()
    except PermissionError as error:
        raise DataError(
            f"{shown(path)} can't be read: {error.strerror}.",
            hint="Correct the permissions of its folder.",
            file=path,
        ) from error
    except OSError:
        return False


def _absence(path: Path) -> str:
    if path.is_symlink():
        return f"{shown(path)} is a link to {path.readlink()}, which leads to no file."
    if path.is_dir():
        return f"{shown(path)} is a folder."
    if path.exists():
        return f"{shown(path)} is a device or a pipe, and not a file."
    return f"There is no file {shown(path)}."


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    text = read_text(path)
    for number, line in enumerate(text.split(line_break(text)), 1):
        if line.strip():
            yield number, _decoded(line.rstrip("\r"), path, number, _once)


class _RepeatedNameError(Exception):
    """An object names a field twice, and nothing says which value is meant."""


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):
        names = [name for name, _ in members]
        raise _RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return made


def _decoded(text: str, path: Path, first_line: int, made_of: Callable[..., Any] = dict) -> Any:
    try:
        return json.loads(text, object_pairs_hook=made_of)
    except _RepeatedNameError as error:
        raise _repeated((path, first_line), error) from None
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        problem = error.msg.removesuffix(" at")
        raise line_error(
            (path, first_line + error.lineno - 1),
            f"not JSON: {problem} at column {error.colno}: {snippet(line, error.colno)}",
            hint=_json_hint(path),
        ) from None
    except RecursionError:
        raise line_error((path, first_line), "nested too deeply.", hint="Flatten the example.") from None
    except ValueError:  # Python refuses to read integers of more than 4,300 digits
        raise line_error(
            (path, first_line), "a number has too many digits.", hint="Write it as text."
        ) from None


def _repeated(at: FileLine, error: _RepeatedNameError) -> DataError:
    return line_error(at, f"the field {str(error)!r} is there twice.", hint="Keep the one that is meant.")


def _json_hint(path: Path) -> str:
    if path.suffix.lower() == ".json":
        return "Correct the line. A file with one object per line must end in .jsonl."
    return (
        "Correct the line: one JSON object, names and text in double quotes. A file whose objects take "
        "several lines is a list, [{...}, {...}], and must end in .json."
    )


def _json_document(path: Path) -> Iterator[tuple[int, Any]]:
    text = read_text(path)
    if not text.strip():
        return
    document = _decoded(text, path, 1)
    start = skip_space(text, 0)
    name = next((name for name in LISTS if isinstance(_get(document, name), list)), None)
    if name is not None:
        start = member(text, name, start)
    elif not isinstance(document, list):
        raise DataError(
            f"{shown(path)} isn't a list of examples.",
            hint=_list_hint(document),
            file=path,
        )
    line, counted = 1, 0
    for position, _ in elements(text, start):
        line += text.count("\n", counted, position)
        counted = position
        try:
            yield line, _EXACT.raw_decode(text, position)[0]
        except _RepeatedNameError as error:
            raise _repeated((path, line), error) from None


def _list_hint(document: Any) -> str:
    parts = list(document.values()) if isinstance(document, dict) else []
    columns = [part for part in parts if isinstance(part, list | dict)]
    if len(columns) > 1 and columns == parts and len({len(column) for column in columns}) == 1:
        return 'It holds columns. pandas writes examples with to_json(FILE, orient="records").'
    return 'Write [{...}, {...}], or {"data": [{...}, {...}]}.'


_EXACT = json.JSONDecoder(object_pairs_hook=_once)


def _get(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {shown(path.parent)} either; correct the path in [data]."
    beside = (other for other in path.parent.iterdir() if other.suffix.lower() in _READERS)
    others = sorted(other.name for other in beside if _is_file(other))
    return f"There is {', '.join(others)}." if others else "Correct the path in [data]."


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_document,
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".yaml": yaml_rows,
    ".yml": yaml_rows,
    ".parquet": parquet_rows,
    ".xlsx": excel_rows,
}

"""The files that examples are read from: JSONL, JSON, CSV, YAML and tables, each row with its line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.project.formats.csv_files import csv_rows
from engine.project.formats.json_places import elements, member, skip_space
from engine.project.formats.tables import excel_rows, parquet_rows
from engine.project.formats.text import FileLine, line_error, read_text, shown, snippet
from engine.project.formats.yaml_files import LISTS, yaml_rows

__all__ = ["FileLine", "files_of", "line_error", "read_rows", "shown", "snippet"]


def files_of(folder: Path, named: str) -> list[Path]:
    """Return the files that a split names: a path, several with commas between them, or patterns with `*`.

    Raises:
        DataError: a pattern fits no file.
    """
    if (folder / Path(named).expanduser()).is_file():  # a name may hold commas and brackets itself
        return [folder / Path(named).expanduser()]
    return [path for part in named.split(",") for path in _matching(folder, part.strip())]


def _matching(folder: Path, part: str) -> list[Path]:
    path = folder / Path(part).expanduser()
    if path.exists() or not set(part) & set("*?["):
        return [path]
    base = Path(path.anchor)
    found = sorted(file for file in base.glob(str(path.relative_to(base))) if file.is_file())
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
    if not path.is_file():
        raise DataError(f"There is no file {shown(path)}.", hint=_neighbours(path), file=path)
    yield from read(path)


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, _decoded(line.rstrip("\r"), path, number)


def _decoded(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
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


def _json_hint(path: Path) -> str:
    if path.suffix.lower() == ".json":
        return "Correct the line. A file with one object per line must end in .jsonl."
    return "Correct the line: one JSON object, names and text in double quotes."


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
            hint='Write [{...}, {...}], or {"data": [{...}, {...}]}.',
            file=path,
        )
    line, counted = 1, 0
    for position, value in elements(text, start):
        line += text.count("\n", counted, position)
        counted = position
        yield line, value


def _get(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {shown(path.parent)} either; correct the path in [data]."
    others = sorted(other.name for other in path.parent.iterdir() if other.suffix.lower() in _READERS)
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

"""The files that examples are read from: JSONL, JSON, CSV and Parquet, each row with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError

FileLine = tuple[Path, int]
"""A file and a line in it, from 1."""

_DELIMITERS = ",;\t"
_SNIPPET = 72


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


def shown(path: Path) -> str:
    """Return a path for an error message: relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def line_error(at: FileLine, problem: str, *, hint: str, field: str = "") -> DataError:
    """Return the error that says what is wrong in a line of a data file."""
    path, line = at
    return DataError(f"{shown(path)}, line {line}: {problem}", hint=hint, file=path, line=line, field=field)


def snippet(line: str, column: int = 1) -> str:
    """Return the part of a line around a column (from 1)."""
    line = line.strip("\r")
    start = max(0, column - 1 - _SNIPPET // 2)
    part = line[start : start + _SNIPPET]
    return f"{'...' if start else ''}{part}{'...' if start + _SNIPPET < len(line) else ''}"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{shown(path)} can't be read: {error.strerror}.", hint="Correct its permissions.", file=path
        ) from error
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise line_error(
            (path, line),
            f"byte 0x{content[error.start]:02x} at position {error.start} is not UTF-8.",
            hint="Save the file as UTF-8.",
        ) from None


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            yield number, _decoded(line.rstrip("\r"), path, number)


def _decoded(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        raise line_error(
            (path, first_line + error.lineno - 1),
            f"not JSON: {error.msg} at column {error.colno}: {snippet(line, error.colno)}",
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
    text = _text(path)
    if not text.strip():
        return
    document = _decoded(text, path, 1)
    start = _skip_space(text, 0)
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        start = _member(text, "data", start)
    elif not isinstance(document, list):
        raise DataError(
            f"{shown(path)} isn't a list of examples.",
            hint='Write [{...}, {...}], or {"data": [{...}, {...}]}.',
            file=path,
        )
    line, counted = 1, 0
    for position, value in _elements(text, start):
        line += text.count("\n", counted, position)
        counted = position
        yield line, value


def _elements(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """Yield the elements of the list at `start` of valid JSON, each with its position."""
    decoder = json.JSONDecoder()
    position = _skip_space(text, start + 1)
    while text[position] != "]":
        value, end = decoder.raw_decode(text, position)
        yield position, value
        position = _skip_space(text, end)
        if text[position] == ",":
            position = _skip_space(text, position + 1)


def _member(text: str, name: str, start: int) -> int:
    """Return where the value of the last member `name` begins in the object at `start` of valid JSON."""
    decoder = json.JSONDecoder()
    value_at = start
    position = _skip_space(text, start + 1)
    while text[position] != "}":
        key, end = decoder.raw_decode(text, position)
        position = _skip_space(text, _skip_space(text, end) + 1)
        if key == name:
            value_at = position
        _, end = decoder.raw_decode(text, position)
        position = _skip_space(text, end)
        if text[position] == ",":
            position = _skip_space(text, position + 1)
    return value_at


def _skip_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    text = _text(path)
    # Spreadsheets of many countries write semicolons; the header shows which separator a file uses.
    delimiter = max(_DELIMITERS, key=text.lstrip().partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if header is None:
                    header = _header(row, path, line)
                else:
                    yield line, _row(header, row, path, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise line_error(
            (path, line),
            f"not CSV: {error}.",
            hint="Look for a quote that is never closed. Use JSONL for longer texts.",
        ) from None


def _header(row: list[str], path: Path, line: int) -> list[str]:
    names = [cell.strip() for cell in row]
    repeated = sorted({name for name in names if names.count(name) > 1 or not name})
    if repeated:
        problem = "more than once" if repeated[0] else "without a name"
        raise line_error(
            (path, line),
            f"the header names the column {repeated[0]!r} {problem}.",
            hint="Give each column its own name.",
        )
    return names


def _row(header: list[str], row: list[str], path: Path, line: int) -> dict[str, str]:
    if len(row) != len(header):
        raise line_error(
            (path, line),
            f"{len(row)} columns where the header has {len(header)} ({', '.join(header)}).",
            hint="Put text that holds the separator in double quotes.",
        )
    return dict(zip(header, row, strict=True))


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"{shown(path)} is a Parquet file, and pyarrow is not installed.",
            hint="pip install 'promptgrad-tui[parquet]'",
            file=path,
        ) from None
    try:
        rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{shown(path)} can't be read as Parquet: {error}.", hint="Write the file again.", file=path
        ) from error
    for number, row in enumerate(rows, 1):
        yield number, {name: _plain(value, (path, number), name) for name, value in row.items()}


def class_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the names that Hugging Face's metadata gives to the numbers in columns of a Parquet file."""
    try:
        from pyarrow import parquet

        kept = parquet.read_schema(path).metadata or {}
        features = json.loads(kept.get(b"huggingface", b"{}"))["info"]["features"]
    except (ImportError, OSError, ValueError, KeyError, TypeError):
        return {}
    return {
        column: tuple(map(str, feature["names"]))
        for column, feature in features.items()
        if isinstance(feature, dict) and isinstance(feature.get("names"), list)
    }


def _plain(value: Any, at: FileLine, field: str) -> Any:
    """Return a Parquet value as JSON would hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item, at, field) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, at, field) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise line_error(
        at,
        f"the column {field!r} holds {type(value).__name__}.",
        hint="Columns hold text, numbers, truth values, dates, lists or structures.",
    )


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {shown(path.parent)} either; correct the path in [data]."
    others = sorted(other.name for other in path.parent.iterdir() if other.suffix.lower() in _READERS)
    return f"There is {', '.join(others)}." if others else "Correct the path in [data]."


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_document,
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".parquet": _parquet_rows,
}

"""One more example at the end of a data file, in the file's own format; what it holds stays as it is."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.ground.errors import DataError
from engine.ground.files import append_durably, replace_file
from engine.project.data_files import read_rows, shown
from engine.project.formats.csv_files import delimiter_of
from engine.project.formats.text import line_break


def append_example(path: Path, values: Mapping[str, Any]) -> None:
    """Append an example to a JSONL, JSON, CSV or TSV file.

    Raises:
        DataError: the file can't be read or written, or its format can't take the example; it is as before.
    """
    append = _APPENDERS.get(path.suffix.lower())
    if append is None:
        raise DataError(
            f"{shown(path)} can't be appended to: a {path.suffix} file would have to be rewritten.",
            hint="Keep training examples in a .jsonl file: [data] train.",
        )
    try:
        text = path.read_bytes().decode()
        append(path.resolve(), text, dict(values))
    except (OSError, UnicodeError) as error:
        raise DataError(f"{shown(path)} can't be written: {error}.", hint="Nothing was saved.") from error


def _append_line(path: Path, text: str, values: dict[str, Any]) -> None:
    end = line_break(text)
    missing_break = end if text and not text.endswith(end) else ""
    line = f"{missing_break}{json.dumps(values, ensure_ascii=False)}{end}".encode()
    append_durably(path, line)


def _append_element(path: Path, text: str, values: dict[str, Any]) -> None:
    """Insert the example before the closing bracket, and only if the rest then reads as before."""
    before = [row for _, row in read_rows(path)]
    first = re.search(r"\[[ \t]*(\r?\n[ \t]*)", text)
    gap = first[1] if first else " "
    for bracket in (match.start() for match in reversed(list(re.finditer(r"\]", text)))):
        head = text[:bracket].rstrip()
        separator = "," if before else ""
        new = f"{head}{separator}{gap if before or first else ''}{json.dumps(values, ensure_ascii=False)}"
        if _replace(path, f"{new}{text[len(head) :]}", [*before, values]):
            return
    raise DataError(f"{shown(path)} can't be appended to.", hint="Add the example by hand.")


def _append_row(path: Path, text: str, values: dict[str, Any]) -> None:
    before = [row for _, row in read_rows(path)]
    header = list(before[0]) if before else []
    unknown = [name for name in values if name not in header]
    if unknown:
        raise DataError(
            f"{shown(path)} has no column {unknown[0]!r}.", hint=f"Its columns are {', '.join(header)}."
        )
    row = {name: values.get(name, "") for name in header}
    delimiter = delimiter_of(text)
    line_break = "\r\n" if "\r\n" in text else "\n"
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=line_break).writerow(row.values())
    missing_break = "" if text.endswith("\n") else line_break
    if not _replace(path, f"{text}{missing_break}{written.getvalue()}", [*before, row]):
        raise DataError(f"{shown(path)} can't be appended to.", hint="Add the example by hand.")


def _replace(path: Path, text: str, wanted: list[Any]) -> bool:
    return replace_if(path, text, lambda rows: rows == wanted)


def replace_if(path: Path, text: str, is_right: Callable[[list[Any]], bool]) -> bool:
    """Put `text` in a data file's place at once, if the rows that are read from it are right."""
    is_written = reads_right(path, text, is_right)
    if is_written:
        replace_file(path, text.encode())
    return is_written


def reads_right(path: Path, text: str, is_right: Callable[[list[Any]], bool]) -> bool:
    """Whether the rows are right that would be read from a data file with this text."""
    with TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_bytes(text.encode())
        try:
            return is_right([row for _, row in read_rows(draft)])
        except DataError:
            return False


_APPENDERS: dict[str, Callable[[Path, str, dict[str, Any]], None]] = {
    ".jsonl": _append_line,
    ".ndjson": _append_line,
    ".json": _append_element,
    ".csv": _append_row,
    ".tsv": _append_row,
}

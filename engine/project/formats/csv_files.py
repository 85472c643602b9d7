"""CSV as spreadsheets, pandas and databases write it; every value is text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.ground.figures import count_text
from engine.project.formats.text import line_error, read_text

_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r"\s*sep=(.)\r?\n")
_LONGEST_FIELD = 2**31 - 1  # as long as C's long is everywhere

Row = tuple[int, list[str]]


def csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a CSV file as objects, each with its line.

    Empty lines, a header that is repeated, columns without name and content, and pandas' unnamed index are
    no data. Excel's line `sep=;` names the separator; else it is the one that the header has most of.
    """
    text, first_line = read_text(path), 1
    delimiter = delimiter_of(text)
    if named := _SEPARATOR_LINE.match(text):
        text, first_line = text[named.end() :], 2
    rows = list(_cells(text, path, first_line, delimiter))
    if not rows:
        return
    (line, header), *body = rows
    names = [cell.strip() for cell in header]
    width = len(names)
    body = [(number, _fitted(row, width)) for number, row in body if row != header]
    kept = [index for index, name in enumerate(names) if name or not _is_no_data(index, body)]
    _refuse_names([names[index] for index in kept], path, line)
    for number, row in body:
        if len(row) != width:
            raise line_error(
                (path, number),
                f"{count_text(len(row), 'column')} where the header has {width} ({', '.join(names)}).",
                hint="Put text that holds the separator in double quotes.",
            )
        yield number, {names[index]: row[index] for index in kept}


def delimiter_of(text: str) -> str:
    """Return what separates the cells of a CSV file: what `sep=` names, or what its header has most of."""
    text = text.removeprefix("\ufeff")
    if named := _SEPARATOR_LINE.match(text):
        return named[1]
    header_line = _QUOTED.sub("", text.lstrip().partition("\n")[0])
    return max(_DELIMITERS, key=header_line.count)


def _cells(text: str, path: Path, first_line: int, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = first_line
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + first_line
    except csv.Error as error:
        raise line_error(
            (path, line),
            f"not CSV: {error}.",
            hint="Look for a quote that is never closed. Use JSONL for longer texts.",
        ) from None


def _fitted(row: list[str], width: int) -> list[str]:
    """Return a row without the empty cells that it has more than the header."""
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    return row


def _is_no_data(index: int, body: Sequence[Row]) -> bool:
    """Whether a column without a name is empty, or the numbers that pandas gives to rows, in any order."""
    cells = [row[index].strip() for _, row in body if index < len(row)]
    return not any(cells) or (index == 0 and all(cell.isdecimal() for cell in cells))


def _refuse_names(names: Sequence[str], path: Path, line: int) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1 or not name})
    if repeated:
        problem = "more than once" if repeated[0] else "without a name"
        raise line_error(
            (path, line),
            f"the header names the column {repeated[0]!r} {problem}.",
            hint="Give each column its own name.",
        )

"""Parquet files and Excel workbooks, through packages that come as extras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.project.formats.text import line_error, shown


class PartialRow(dict[str, Any]):
    """A row without the values that no example can hold; `unusable` says of each column what it holds."""

    def __init__(self, values: dict[str, Any], unusable: dict[str, str]) -> None:
        super().__init__(values)
        self.unusable = unusable


class UnusableError(Exception):
    """A value that JSON can't hold."""


def parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a Parquet file, each with its number."""
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
            f"{shown(path)} can't be read as Parquet: {str(error).rstrip('.')}.",
            hint="Write the file again.",
            file=path,
        ) from error
    for number, row in enumerate(rows, 1):
        yield number, _row(row)


def excel_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a workbook's first sheet, each with its number; the first one names the columns."""
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{shown(path)} is an Excel workbook, and openpyxl is not installed.",
            hint="pip install 'promptgrad-tui[excel]', or save the sheet as CSV.",
            file=path,
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(enumerate(book.worksheets[0].iter_rows(values_only=True), 1))
        book.close()
    except Exception as error:  # openpyxl raises what its parsers do
        raise DataError(
            f"{shown(path)} can't be read as a workbook: {error}.",
            hint="Save it again, or as CSV.",
            file=path,
        ) from error
    filled = [(number, row) for number, row in rows if any(cell is not None for cell in row)]
    if not filled:
        return
    (line, header), *body = filled
    names = ["" if cell is None else str(cell).strip() for cell in header]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise line_error(
            (path, line),
            f"the header names the column {repeated[0]!r} more than once.",
            hint="Give each column its own name.",
        )
    for number, row in body:
        yield number, _row({name: cell for name, cell in zip(names, row, strict=False) if name})


def _row(row: dict[str, Any]) -> PartialRow:
    values, unusable = {}, {}
    for name, value in row.items():
        try:
            values[name] = plain(value)
        except UnusableError as error:
            unusable[name] = str(error)
    return PartialRow(values, unusable)


def plain(value: Any) -> Any:
    """Return a table's value as JSON would hold it; a number may still be infinite or none."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise UnusableError(type(value).__name__)


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

"""The text of a data file, and how an error names a place in one."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import DataError

FileLine = tuple[Path, int]
"""A file and a line in it, from 1."""

_SNIPPET = 72
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NO_TEXT = {
    b"\x1f\x8b": ("compressed with gzip", "Unpack it."),
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", "Unpack it; a workbook must end in .xlsx."),
    b"\xff\xfe\0\0": ("UTF-32", "Save the file as UTF-8."),
    b"\0\0\xfe\xff": ("UTF-32", "Save the file as UTF-8."),
}
"""What a file is that begins with these bytes, and what to do about it."""
_PARQUET = b"PAR1"
"""How a Parquet file begins and ends; a table of text may begin so too, with the name of a column."""


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8, or what its byte order mark says.

    Raises:
        DataError: it can't be read, or isn't text in that encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{shown(path)} can't be read: {error.strerror}.", hint="Correct its permissions.", file=path
        ) from error
    _refuse_no_text(path, content)
    mark, encoding = next((pair for pair in _MARKS.items() if content.startswith(pair[0])), (b"", "utf-8"))
    content = content[len(mark) :]
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8" else "UTF-16, as its first two bytes say"
        raise line_error(
            (path, content.count(b"\n", 0, error.start) + 1),
            f"byte 0x{content[error.start]:02x} at position {error.start} is not {name}.",
            hint="Save the file as UTF-8.",
        ) from None


def line_break(text: str) -> str:
    """Return what ends the lines of a file with one object a line: CR alone if there is nothing else.

    Old Macs wrote so. Within JSON a CR can't stand as it is.
    """
    return "\r" if "\r" in text and "\n" not in text else "\n"


def _refuse_no_text(path: Path, content: bytes) -> None:
    kind, fix = next((known for start, known in _NO_TEXT.items() if content.startswith(start)), ("", ""))
    if content.startswith(_PARQUET) and content.endswith(_PARQUET):
        kind, fix = "a Parquet file", "Name it so that it ends in .parquet."
    elif not kind and b"\0" in content[:2]:
        kind, fix = "UTF-16 or UTF-32 without a byte order mark, or no text", "Save the file as UTF-8."
    if kind:
        raise DataError(f"{shown(path)} is not UTF-8: it is {kind}.", hint=fix, file=path)


def line_error(at: FileLine, problem: str, *, hint: str, field: str = "") -> DataError:
    """Return the error that says what is wrong in a line of a data file."""
    path, line = at
    return DataError(f"{shown(path)}, line {line}: {problem}", hint=hint, file=path, line=line, field=field)


def shown(path: Path) -> str:
    """Return a path for an error message: relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def snippet(line: str, column: int = 1) -> str:
    """Return the part of a line around a column (from 1)."""
    line = line.strip("\r")
    start = max(0, column - 1 - _SNIPPET // 2)
    part = line[start : start + _SNIPPET]
    return f"{'...' if start else ''}{part}{'...' if start + _SNIPPET < len(line) else ''}"

"""Where a value of an example stands in the text of a data file, and how another is written there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from engine.project.formats.csv_files import delimiter_of
from engine.project.formats.json_places import elements, member, skip_space, value_span
from engine.project.formats.text import line_break
from engine.project.formats.yaml_files import LISTS

Change = Callable[[str, int, str, Any], str | None]
"""From a file's text, an example's line (from 1), a field's source and its new value to the new text; None
where the value isn't found."""


def change_json_line(text: str, line: int, source: str, value: Any) -> str | None:
    """Change a value in a file with one object per line."""
    start = 0
    for _ in range(line - 1):
        start = text.index(line_break(text), start) + 1
    return _with_json(text, skip_space(text, start), source, value)


def change_json_document(text: str, line: int, source: str, value: Any) -> str | None:
    """Change a value in a list of objects, or in a document that holds one."""
    start = skip_space(text, text.startswith("\ufeff"))
    if text[start] == "{":
        document = json.loads(text.removeprefix("\ufeff"))
        name = next(name for name in LISTS if isinstance(document.get(name), list))
        start = member(text, name, start)
    at = [position for position, _ in elements(text, start) if text.count("\n", 0, position) == line - 1]
    return _with_json(text, at[0], source, value) if len(at) == 1 else None


def change_csv(text: str, line: int, source: str, value: Any) -> str | None:
    """Change a field of a row; its neighbours keep their quotes."""
    delimiter = delimiter_of(text)
    records = list(_records(text, delimiter))
    rows = [(start, end) for first_line, start, end in records if first_line == line]
    header = next(iter(csv.reader(io.StringIO(text[slice(*_header(text, records))]), delimiter=delimiter)))
    names = [name.strip() for name in header]
    if len(rows) != 1 or source not in names:
        return None
    spans = list(_fields(text, *rows[0], delimiter))
    start, end = spans[names.index(source)]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator="").writerow([value])
    new, was_quoted = written.getvalue(), text[start:end].startswith('"')
    return text[:start] + (f'"{new}"' if was_quoted and not new.startswith('"') else new) + text[end:]


def change_yaml(text: str, line: int, source: str, value: Any) -> str | None:
    """Change a value in a list of examples; comments stay."""
    import yaml

    mark = text.startswith("\ufeff")  # the reader counts from behind it
    document: Any = yaml.SafeLoader(text[mark:]).get_single_node()
    if document.id == "mapping":
        found = {key.value: node for key, node in document.value}
        document = next(found[name] for name in LISTS if name in found)
    nodes = [node for node in document.value if node.start_mark.line == line - 1]
    node = _yaml_node(nodes[0], source) if len(nodes) == 1 else None
    if node is None or node.id != "scalar":
        return None
    is_plain = node.style is None and yaml.safe_load(f"- {value}") == [value] and "\n" not in str(value)
    written = str(value) if is_plain and " #" not in str(value) else json.dumps(value, ensure_ascii=False)
    return text[: mark + node.start_mark.index] + written + text[mark + node.end_mark.index :]


def _with_json(text: str, start: int, source: str, value: Any) -> str | None:
    span = value_span(text, start, source)
    if span is None:
        return None
    is_ascii = text.isascii() and "\\u" in text
    return text[: span[0]] + json.dumps(value, ensure_ascii=is_ascii) + text[span[1] :]


def _header(text: str, records: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return where the row of names stands: the first that isn't empty and isn't Excel's `sep=`."""
    for _, start, end in records:
        row = text[start:end].removeprefix("\ufeff").strip()
        if row and not row.startswith("sep="):
            return start + text[start:end].startswith("\ufeff"), end
    return 0, 0


def _records(text: str, delimiter: str) -> Iterator[tuple[int, int, int]]:
    """Yield the line of each row, and where it begins and ends; a quoted field may go over several lines."""
    ends = [*accumulate(map(len, io.StringIO(text, newline="")), initial=0)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = 0
    for _ in reader:
        yield lines + 1, ends[lines], ends[reader.line_num]
        lines = reader.line_num


def _fields(text: str, start: int, end: int, delimiter: str) -> Iterator[tuple[int, int]]:
    """Yield where each field of a row begins and ends."""
    end -= len(text[start:end]) - len(text[start:end].rstrip("\r\n"))
    begin, is_quoted = start, False
    for position in range(start, end):
        if text[position] == '"':
            is_quoted = not is_quoted
        elif text[position] == delimiter and not is_quoted:
            yield begin, position
            begin = position + 1
    yield begin, end


def _yaml_node(node: Any, source: str) -> Any:
    if not source:
        return node
    head, _, rest = source.partition(".")
    if node.id == "mapping":
        found = {key.value: value for key, value in node.value}
        return found[source] if source in found else _yaml_node(found[head], rest) if head in found else None
    if node.id == "sequence" and head.isdecimal() and int(head) < len(node.value):
        return _yaml_node(node.value[int(head)], rest)
    return None


CHANGES: dict[str, Change] = {
    ".jsonl": change_json_line,
    ".ndjson": change_json_line,
    ".json": change_json_document,
    ".csv": change_csv,
    ".tsv": change_csv,
    ".yaml": change_yaml,
    ".yml": change_yaml,
}
"""How a value is changed, by the file's suffix; tables would have to be rewritten whole."""

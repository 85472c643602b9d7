"""`promptgrad.toml` changed key by key: comments, order and layout stay as a person wrote them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import (
    AbstractTable,
    Array,
    Comment,
    InlineTable,
    Item,
    Key,
    String,
    StringType,
    Table,
    Trivia,
)

from engine.ground.errors import ProjectError
from engine.ground.files import replace_file
from engine.project.settings import parse_project_text, read_project_text
from engine.project.toml_lines import Place

UNSET: Any = object()
"""In place of a value: the key is taken out of the file."""

Edits: TypeAlias = Mapping[Place, Any]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ProjectFile:
    """A project file as it was read: its bytes, its text, and what it says."""

    path: Path
    content: bytes
    text: str
    raw: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ProjectError: it doesn't exist or isn't TOML; the message names the line.
        """
        raw = parse_project_text(read_project_text(path), path.name)
        content = path.read_bytes()
        return cls(path, content, content.decode("utf-8-sig"), raw)

    def is_current(self) -> bool:
        """Whether the file on the disk is still the one that was read."""
        with suppress(OSError):
            return self.path.read_bytes() == self.content
        return False

    def save(self, edits: Edits) -> Self:
        """Write the file with `edits` in one step and return it as it is then.

        Raises:
            ProjectError: it has changed since it was read, can't be edited key by key, or can't be written;
                it is as it was.
        """
        if not self.is_current():
            raise ProjectError(
                f"{self.path.name} has changed on disk since it was read.",
                hint="Nothing was overwritten. Read it again; you can keep your changes.",
            )
        text = edited(self.text, edits, self.path.name)
        content = (_BOM if self.content.startswith(_BOM) else b"") + text.encode()
        _replace(self.path, content)
        return type(self)(self.path, content, text, tomllib.loads(text))


def merged(raw: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """Return what a file with the content `raw` says after `edits`."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in raw.items()}
    for place, value in edits.items():
        table = result
        if len(place) > 1:
            section = result.get(place[0])
            table = result[place[0]] = section if isinstance(section, dict) else {}
        if value is UNSET:
            table.pop(place[-1], None)
        else:
            table[place[-1]] = value
    return result


def edited(text: str, edits: Edits, name: str = "promptgrad.toml") -> str:
    """Return a TOML text with other values at some places; all else stays byte for byte.

    A key that is taken out stays as a comment if there is a comment beside it.

    Raises:
        ProjectError: the text is written so that it can't be changed key by key.
    """
    is_dos = "\r\n" in text and not re.search(r"(?<!\r)\n", text)
    result = text if text.endswith("\n") or not text else f"{text}\n"
    try:
        for place, value in edits.items():
            result = _set(result, place, value)
        if is_dos:
            result = re.sub(r"(?<!\r)\n", "\r\n", result)
        is_right = _told(tomllib.loads(result)) == _told(merged(tomllib.loads(text), edits))
    except (TOMLKitError, tomllib.TOMLDecodeError, AttributeError, TypeError, ValueError, KeyError):
        is_right = False
    if not is_right:
        raise ProjectError(
            f"{name} is written in a way that prevents changing {_names(edits)} here.",
            hint="Nothing was written. Press E to change it in your editor.",
        )
    return result


def _told(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says, without tables that are empty."""
    inner = {key: _told(value) if isinstance(value, dict) else value for key, value in raw.items()}
    return {key: value for key, value in inner.items() if value != {}}


def _names(edits: Edits) -> str:
    return ", ".join(".".join(place) for place in edits)


def _set(text: str, place: Place, value: Any) -> str:
    document = tomlkit.parse(text)
    *sections, name = place
    table: Any = document
    for section in sections:
        if section not in table:
            if value is UNSET:
                return text
            table[section] = tomlkit.table()
        table = table[section]
    if value is UNSET:
        _take_out(table, name)
    elif name in table:
        _change(table, name, value)
    else:
        _insert(table, name, value)
    return tomlkit.dumps(document)


def _change(table: Any, name: str, value: Any) -> None:
    old = table[name]
    if isinstance(old, Table) and isinstance(value, dict):
        _change_table(old, value)
    elif isinstance(old, Array) and isinstance(value, list) and _has_comments(old):
        _change_array(old, value)
    else:
        before = _item(table, name)
        width = len(before.as_string()) if before is not None else 0
        table[name] = _as_toml(value)
        _keep_comment_column(_item(table, name), width)


def _change_table(table: Table, value: Mapping[str, Any]) -> None:
    for name in [name for name in table if name not in value]:
        _take_out(table, name)
    for name, item in value.items():
        if name not in table:
            _insert(table, name, item)
        elif table[name] != item:
            _change(table, name, item)


def _has_comments(array: Array) -> bool:
    return "#" in array.as_string()


def _change_array(array: Array, value: list[Any]) -> None:
    """Take out what is gone and add what is new, so that the comments inside stay."""
    for item in [item for item in array if item not in value]:
        array.remove(item)
    for item in value:
        if item not in array:
            array.append(item)


def _keep_comment_column(item: Item | None, width: int) -> None:
    """Let the comment beside a value stand in its column, where there is room."""
    if item is None or not item.trivia.comment or "\n" in (text := item.as_string()):
        return
    space = len(item.trivia.comment_ws) + width - len(text)
    item.trivia.comment_ws = " " * max(space, 1)


def _take_out(table: Any, name: str) -> None:
    if name not in table:
        return
    if isinstance(inner := table[name], Table) and "#" in inner.as_string():
        for key in list(inner):
            _take_out(inner, key)
        return
    body, item = _body(table), _item(table, name)
    if body is None or item is None or not item.trivia.comment:
        del table[name]
        return
    index, key = _index(body, name)
    old = f"{key.as_string()}{key.sep}{item.as_string()}{item.trivia.comment_ws}{item.trivia.comment}"
    del table[name]
    comment = tomlkit.comment("x")
    comment.trivia.indent = item.trivia.indent
    comment.trivia.comment = "\n".join(f"# {line}" for line in old.split("\n"))
    body[index] = (None, comment)


def _insert(table: Any, name: str, value: Any) -> None:
    """Add a key below the comment that shows it (`# name = ...`), else below the last key of its table."""
    table[name] = _as_toml(value)
    body = _body(table)
    if body is None:
        return
    index, _ = _index(body, name)
    shown = re.compile(rf"#\s*{re.escape(name)}\s*=")
    below = [
        number
        for number, (_, item) in enumerate(body[:index])
        if isinstance(item, Comment) and shown.match(item.trivia.comment)
    ] or [
        number
        for number, (key, item) in enumerate(body[:index])
        if key is not None and not isinstance(item, AbstractTable)
    ]
    if below:
        body.insert(below[-1] + 1, body.pop(index))


def _body(table: Any) -> list[tuple[Key | None, Item]] | None:
    """Return the lines of a table; None for one that is written on a single line or in several pieces."""
    if isinstance(table, InlineTable):
        return None
    container = table.value if isinstance(table, Table) else table
    return container.body if isinstance(container, Container) else None


def _index(body: list[tuple[Key | None, Item]], name: str) -> tuple[int, Key]:
    return next((number, key) for number, (key, _) in enumerate(body) if key is not None and key.key == name)


def _item(table: Any, name: str) -> Item | None:
    body = _body(table)
    return None if body is None else body[_index(body, name)[0]][1]


def _as_toml(value: Any) -> Any:
    if isinstance(value, str) and "\n" in value:
        inner = tomlkit.string(value, multiline=True).as_string()[3:-3].removeprefix("\n")
        return String(StringType.MLB, value, f"\n{inner}", Trivia())
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    return value


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        raise ProjectError(
            f"{path.name} can't be saved: {error.strerror}.",
            hint="The file is unchanged, and your changes are still here.",
        ) from error

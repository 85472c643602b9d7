"""A label corrected in its file, or its example excluded in the project file, and both taken back."""

from __future__ import annotations

import json
from typing import Any

import tomlkit

from engine.ground.errors import DataError, ProjectError
from engine.ground.paths import relative_path
from engine.project.data import LoadedExample
from engine.project.data_files import read_rows, shown
from engine.project.field_paths import CONSTANT, renamed
from engine.project.settings import Project, read_project_text
from promptgrad_tui.work.labels.doubts import Doubted
from promptgrad_tui.work.labels.file_change import FileChange
from promptgrad_tui.work.labels.value_places import CHANGES
from promptgrad_tui.work.trying.append import reads_right


def typed_label(text: str, expected: Any) -> Any:
    """Return a label that was typed as a value of the kind that the example had."""
    if isinstance(expected, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def correction(project: Project, example: LoadedExample, field: str, value: Any) -> FileChange:
    """Return the change that writes another label into an example's file.

    Raises:
        DataError: the file's format can't be changed in place, or the value isn't found.
    """
    path = example.file
    source = project.data.fields.get(field, field)
    change = CHANGES.get(path.suffix.lower())
    if change is None or source.startswith(CONSTANT):
        what = (
            f"{field} is the same for all" if change else f"a {path.suffix} file would have to be rewritten"
        )
        raise DataError(
            f"{shown(path)} can't be corrected here: {what}.", hint=f"Correct it yourself: {example.where}."
        )
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeError as error:
        raise DataError(
            f"{shown(path)} isn't UTF-8.", hint="Save it as UTF-8, or correct it yourself."
        ) from error
    before = list(read_rows(path))

    def is_right(after: list[Any]) -> bool:
        return len(after) == len(before) and all(
            _is_changed(old, new) if line == example.line else new == old
            for (line, old), new in zip(before, after, strict=True)
        )

    def _is_changed(old: Any, new: Any) -> bool:
        was, now = renamed(old, project.data.fields), renamed(new, project.data.fields)
        return bool(now == {**was, field: value})

    new = change(text, example.line, source, value)
    if new is None or not reads_right(path, new, is_right):
        raise DataError(
            f"{example.where}: {field} can't be changed in place.", hint="Correct the file yourself."
        )
    return FileChange(path, content, new.encode())


def exclusion(project: Project, example: LoadedExample) -> FileChange:
    """Return the change that adds an example to [data] exclude, with its place as a comment.

    Raises:
        ProjectError: the project file can't be read or written that way.
    """
    document = tomlkit.parse(read_project_text(project.file))
    data: Any = document["data"]
    if not {example.key, example.name} & set(project.data.exclude):
        if "exclude" not in data:
            data["exclude"] = tomlkit.array().multiline(True)
        listed = data["exclude"]
        place = f"{relative_path(example.file, project.root)}, line {example.line}"
        if "\n" in listed.as_string() or not len(listed):
            listed.add_line(example.key, indent="    ", comment=place)
        else:
            listed.append(example.key)
    change = _project_change(project, tomlkit.dumps(document))
    if not {example.key, example.name} & _excluded(change):
        raise ProjectError(f"{project.file} can't be changed here.", hint=f'Add "{example.key}" to exclude.')
    return change


def inclusion(project: Project, example: LoadedExample) -> FileChange:
    """Return the change that takes an example out of [data] exclude, and its comment with it.

    Raises:
        ProjectError: the project file can't be read or written that way.
    """
    document = tomlkit.parse(read_project_text(project.file))
    data: Any = document["data"]
    for name in {example.key, example.name} & set(data.get("exclude", ())):
        data["exclude"].remove(name)
    if not data.get("exclude", True):
        del data["exclude"]
    change = _project_change(project, tomlkit.dumps(document))
    if {example.key, example.name} & _excluded(change):
        raise ProjectError(f"{project.file} can't be changed here.", hint=f'Take "{example.key}" out.')
    return change


def taking_back(project: Project, doubted: Doubted) -> FileChange:
    """Return the change that takes back what was decided about a doubted label, whenever that was.

    Raises:
        DataError: nothing was decided, or the example isn't there any more.
        ProjectError: the project file can't be read or written that way.
    """
    label = doubted.label
    if doubted.state == "excluded" and doubted.example is not None:
        return inclusion(project, doubted.example)
    if doubted.corrected is not None:
        return correction(project, doubted.corrected, label.field, label.expected)
    place = f"{label.file}, line {label.line}"
    if doubted.state == "open":
        raise DataError(
            f"{place}: nothing was corrected or excluded.", hint="promptgrad labels shows the list."
        )
    raise DataError(f"{place}: more than the label has changed.", hint="Change the file yourself.")


def _project_change(project: Project, text: str) -> FileChange:
    """Return the change to another text of the project file; line ends and a byte order mark stay."""
    before = project.file.read_bytes()
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    end = "\r\n" if b"\r\n" in before else "\n"
    return FileChange(project.file, before, mark + text.replace("\n", end).encode())


def _excluded(change: FileChange) -> set[str]:
    data: Any = tomlkit.parse(change.after.decode("utf-8-sig"))["data"]
    return set(data.get("exclude", ()))

"""A label corrected in its file, or its example excluded in the project file; the rest stays as it is."""

from __future__ import annotations

from os.path import relpath
from typing import Any

import tomlkit

from engine.ground.errors import DataError, ProjectError
from engine.ground.files import replace_file
from engine.project.data import LoadedExample
from engine.project.data_files import read_rows, shown
from engine.project.field_paths import CONSTANT, renamed
from engine.project.settings import Project, read_project_text
from promptgrad_tui.work.labels.value_places import CHANGES
from promptgrad_tui.work.trying.append import replace_if


def correct_label(project: Project, example: LoadedExample, field: str, value: Any) -> None:
    """Write another label into an example's file; nothing else in the file changes.

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
    try:
        text = path.read_bytes().decode()
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
    if new is None or not replace_if(path, new, is_right):
        raise DataError(
            f"{example.where}: {field} can't be changed in place.", hint="Correct the file yourself."
        )


def exclude_example(project: Project, example: LoadedExample) -> None:
    """Add an example to [data] exclude, with its place as a comment; comments and order of the file stay.

    Raises:
        ProjectError: the project file can't be read or written that way.
    """
    if {example.key, example.name} & set(project.data.exclude):
        return
    document = tomlkit.parse(read_project_text(project.file))
    data: Any = document["data"]
    if "exclude" not in data:
        data["exclude"] = tomlkit.array().multiline(True)
    listed = data["exclude"]
    place = f"{relpath(example.file, project.root)}, line {example.line}"
    if "\n" in listed.as_string() or not len(listed):
        listed.add_line(example.key, indent="    ", comment=place)
    else:
        listed.append(example.key)
    text = tomlkit.dumps(document)
    if example.key not in tomlkit.parse(text)["data"]["exclude"]:
        raise ProjectError(f"{project.file} can't be changed here.", hint=f'Add "{example.key}" to exclude.')
    replace_file(project.file, text.encode())

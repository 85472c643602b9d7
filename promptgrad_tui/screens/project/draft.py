"""A project file with changes that are not saved yet: values, what is wrong with them, and the way back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit

from engine.project.settings import Project, project_problems
from engine.project.toml_lines import Place, TomlLines
from models.settings import ModelSettings
from promptgrad_tui.screens.project.fields import FormField, FormRow, FormSection, form_rows, unknown_field
from promptgrad_tui.screens.project.file import UNSET, ProjectFile, merged


class ProjectDraft:
    """What a project's form shows: each field's value in the file, and the changes to it."""

    def __init__(self, path: Path) -> None:
        self._edits: dict[Place, Any] = {}
        self._take(ProjectFile.read(path))

    def _take(self, file: ProjectFile) -> None:
        self.file = file
        self.rows: tuple[FormRow, ...] = tuple(_rows(file.raw))
        self._places = {row.place for row in self.rows}
        for place, value in list(self._edits.items()):
            self._put(place, value)
        self._judge()

    def read_again(self) -> None:
        """Take the file as it is on the disk now; changes that are not saved stay.

        Raises:
            ProjectError: it can't be read.
        """
        self._take(ProjectFile.read(self.file.path))

    def save(self) -> None:
        """Write the changes to the file.

        Raises:
            ProjectError: the file has changed, or can't be written; the changes stay.
        """
        saved = self.file.save(self._edits)
        self._edits = {}
        self._take(saved)

    @property
    def edits(self) -> Mapping[Place, Any]:
        """The changes that are not saved; `UNSET` for a field that is taken out of the file."""
        return self._edits

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to save."""
        return bool(self._edits)

    def is_field_changed(self, field: FormField) -> bool:
        """Whether a field differs from the file."""
        return field.place in self._edits

    def is_set(self, field: FormField) -> bool:
        """Whether a field is given a value, by the file or here."""
        return self._edits.get(field.place, _in_file(self.file.raw, field.place)) is not UNSET

    def value(self, field: FormField) -> Any:
        """Return what holds: the value given, or the default."""
        value = self._edits.get(field.place, _in_file(self.file.raw, field.place))
        return field.default if value is UNSET else value

    def file_value(self, field: FormField) -> Any:
        """Return what the file says, or the default where it says nothing."""
        value = _in_file(self.file.raw, field.place)
        return field.default if value is UNSET else value

    def set(self, field: FormField, value: Any) -> None:
        """Give a field a value; the value of the file, or the default, is not a change."""
        is_default = value == field.default and type(value) is type(field.default)
        if is_default and _in_file(self.file.raw, field.place) is UNSET:
            value = UNSET
        self._put(field.place, value)
        self._judge()

    def unset(self, field: FormField) -> None:
        """Take a field out of the file, so that its default holds."""
        self._put(field.place, UNSET)
        self._judge()

    def undo(self, field: FormField) -> None:
        """Put a field back to what the file says."""
        self._edits.pop(field.place, None)
        self._judge()

    def undo_all(self) -> None:
        """Put every field back to what the file says."""
        self._edits.clear()
        self._judge()

    def _put(self, place: Place, value: Any) -> None:
        before = _in_file(self.file.raw, place)
        if value is before or (value == before and type(value) is type(before)):
            self._edits.pop(place, None)
        else:
            self._edits[place] = value

    @property
    def problems(self) -> Mapping[Place, str]:
        """What is wrong, by the place of a field or a section, in the order of the form."""
        return self._problems

    def problem(self, row: FormRow) -> str:
        """Return what is wrong with a field or a section, or nothing."""
        return self._problems.get(row.place, "")

    def problem_of(self, field: FormField, value: Any) -> str:
        """Return what would be wrong with a field, or with its section, if it had a value."""
        found = self._found(merged(self.file.raw, {**self._edits, field.place: value}))
        section = field.place[:-1]
        new = found.get(section, "") if found.get(section) != self._problems.get(section) else ""
        return found.get(field.place, new)

    def _judge(self) -> None:
        found = self._found(merged(self.file.raw, self._edits))
        self._problems = {row.place: found[row.place] for row in self.rows if row.place in found}
        self._project: Project | None = None
        if not self._problems:
            self._project = Project.model_validate(merged(self.file.raw, self._edits))

    def _found(self, raw: Mapping[str, Any]) -> dict[Place, str]:
        """Return each problem at the row that shows it: its own, or the nearest one around it."""
        found: dict[Place, str] = {}
        for place, sentence in project_problems(raw, model_options=ModelSettings).items():
            ends = range(len(place), -1, -1)
            row = next((place[:end] for end in ends if place[:end] in self._places), ())
            found.setdefault(row, sentence)
        return found

    @property
    def project(self) -> Project | None:
        """The project that the draft describes; None while something is wrong with it."""
        return self._project

    def line(self, row: FormRow) -> int:
        """Return the line of the file (from 1) with a field or its section."""
        return TomlLines(self.file.text).find(row.place) or 1


def typed_value(field: FormField, text: str) -> Any:
    """Return the value of a typed text; an empty text has no value.

    Text that doesn't fit the kind of the field is returned as it is: the models say what is wrong with it.
    """
    if not text.strip():
        return UNSET
    match field.kind:
        case "prose":
            return text
        case "list":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "table":
            with suppress(tomllib.TOMLDecodeError):
                return tomllib.loads(text)
        case "integer" | "number":
            for number in (int, float):
                with suppress(ValueError):
                    return number(text)
    return text.strip()


def text_of(value: Any) -> str:
    """Return a value as the text to edit it by."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return tomlkit.dumps(value)
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else shown_value(value)


def shown_value(value: Any) -> str:
    """Return a value as it is read in a row."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} = {shown_value(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown_value, value)) or "-"
    return str(value)


def next_choice(field: FormField, value: Any, step: int) -> Any:
    """Return the choice after (or before) a value; a switch has two."""
    choices: list[Any] = [False, True] if field.kind == "switch" else list(field.choices)
    if value not in choices:
        return choices[0 if step > 0 else -1]
    return choices[(choices.index(value) + step) % len(choices)]


def _in_file(raw: Mapping[str, Any], place: Place) -> Any:
    value: Any = raw
    for key in place:
        if not isinstance(value, dict) or key not in value:
            return UNSET
        value = value[key]
    return value


def _rows(raw: Mapping[str, Any]) -> Iterator[FormRow]:
    """Yield the rows of the form, with the keys that no model knows at the end of their sections."""
    known = {row.place for row in form_rows()}
    section: FormSection | None = None
    for row in form_rows():
        if isinstance(row, FormSection):
            if section is not None:
                yield from _unknown(raw, section, known)
            section = row
        yield row
    if section is not None:
        yield from _unknown(raw, section, known)


def _unknown(raw: Mapping[str, Any], section: FormSection, known: set[Place]) -> Iterator[FormField]:
    table = raw.get(section.name, {}) if section.name else raw
    if isinstance(table, dict):
        places = [(*section.place, key) for key in table]
        yield from (unknown_field(place, table[place[-1]]) for place in places if place not in known)

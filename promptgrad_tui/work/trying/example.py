"""An input that was tried becomes an example: checked against all splits, appended to the training file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.ground.errors import DataError
from engine.ground.examples import example_key
from engine.programs.formatting import as_text
from engine.project.data import LoadedExample, load_examples, load_split
from engine.project.data_files import files_of, read_rows
from engine.project.field_paths import renamed
from engine.project.near_duplicates import near_duplicates
from engine.project.settings import Project
from promptgrad_tui.work.code.program import ProgramFields
from promptgrad_tui.work.predict.prediction import typed_value
from promptgrad_tui.work.trying.append import append_example
from promptgrad_tui.work.trying.messages import TryField

_LONG = 60
_MOST_CHOICES = 24


class TrainingFile:
    """The training examples of a project as they are now, and what another one has to hold.

    A file that can't be read counts as empty until something is to be saved.
    """

    def __init__(self, project: Project, fields: ProgramFields, types: Mapping[str, Any]) -> None:
        self._project = project
        self._types = types
        self._path = _last_file(project)
        self._rows = _readable_rows(self._path, project.data.fields)
        names = list(dict.fromkeys(name for row in self._rows for name in row if not name.startswith("_")))
        known_inputs = [name for name in names if name in types and name not in fields.outputs]
        self.inputs: tuple[str, ...] = fields.inputs or tuple(known_inputs)
        compared = [metric.field for metric in project.scoring if metric.kind != "rubric"]
        needed = [*fields.outputs, *compared, project.data.slice, project.data.id]
        if self._rows:
            needed = [name for name in needed if name in names]
        wanted = dict.fromkeys([*(name for name in needed if name), *names])
        expected = sorted(wanted, key=lambda name: name == (project.data.id or "id"))
        self.expected: tuple[str, ...] = tuple(name for name in expected if name not in self.inputs)

    def __len__(self) -> int:
        return len(self._rows)

    def describe(self, name: str, description: str = "") -> TryField:
        """Return what a form has to know about a field."""
        values = [row[name] for row in self._rows if name in row]
        texts = [as_text(value) for value in values]
        is_id = name == (self._project.data.id or "id")
        return TryField(
            name=name,
            type="text" if self._is_text(name) else _type_name(self._types.get(name)),
            description=description,
            is_long=any(len(text) > _LONG or "\n" in text for text in texts) if texts else True,
            is_required=len(values) == len(self._rows),
            choices=() if is_id else _choices(texts),
            suggestion=_free_id(texts) if is_id and name not in self.inputs else "",
        )

    def save(self, inputs: Mapping[str, str], expected: Mapping[str, str]) -> LoadedExample:
        """Append an example and return it as the project will read it.

        Raises:
            DataError: a value is missing or of another type, the inputs are an example already, or the
                file can't be appended to. The file is as it was before.
        """
        given = {**inputs, **{name: text for name, text in expected.items() if text.strip()}}
        for name in self.expected:
            if name not in given and self.describe(name).is_required:
                raise DataError(f"{name} is missing.", hint="Every training example has it: fill it in.")
        values = {name: self._value(name, text) for name, text in given.items()}
        self._refuse_repeated(values)
        append_example(self._path, values)
        return load_examples(self._path, self._project.data.id, self._project.data.fields)[-1]

    def _is_text(self, name: str) -> bool:
        """Whether a value is written as it is: so are all in CSV, and what has only ever been text."""
        values = [row[name] for row in self._rows if name in row]
        if values:
            return all(isinstance(value, str) for value in values)
        return self._types.get(name, str) is str

    def _value(self, name: str, text: str) -> Any:
        if self._is_text(name):
            return text
        return typed_json(name, text, self._types.get(name, Any))

    def _refuse_repeated(self, values: Mapping[str, Any]) -> None:
        project = self._project
        new = LoadedExample(dict(values), self._path, 0, example_key(values, self.inputs))
        files = {
            "training": project.data.train,
            "validation": project.data.validation,
            "test": project.data.test,
        }
        for split, file in files.items():
            if file is None:
                continue
            others = load_split(project, file)
            same = [other for other in others if example_key(other.values, self.inputs) == new.key]
            if same:
                raise self._repeated(split, same[0], values)
            if split == "training":
                self._refuse_taken_id(values, others)
            else:
                self._refuse_near(split, new, others)

    def _refuse_taken_id(self, values: Mapping[str, Any], others: Sequence[LoadedExample]) -> None:
        name = self._project.data.id or "id"
        taken = [other for other in others if name in values and other.values.get("id") == values[name]]
        if taken:
            raise DataError(
                f"{taken[0].where} has the {name} {values[name]!r} already.", hint="Give another."
            )

    def _repeated(self, split: str, other: LoadedExample, values: Mapping[str, Any]) -> DataError:
        where = f"{other.where} has the same inputs already"
        differing = [name for name in self.expected if other.values.get(name) != values.get(name)]
        compared = {metric.field for metric in self._project.scoring}
        differing = [name for name in differing if name in self._types or name in compared]
        if split != "training":
            hint = f"It is a {split} example, and must stay unseen by training."
        elif differing:
            said = ", ".join(f"{name} = {as_text(other.values.get(name))}" for name in differing)
            hint = f"It expects {said}: correct it there if that is wrong."
        else:
            hint = "It expects the same: there is nothing to save."
        return DataError(f"{where}.", hint=hint)

    def _refuse_near(self, split: str, new: LoadedExample, others: Sequence[LoadedExample]) -> None:
        limit = self._project.data.near_duplicate_threshold
        texts = {split: [(other, _text(other.values, self.inputs)) for other in others]}
        found = near_duplicates({**texts, "new": [(new, _text(new.values, self.inputs))]}, limit)
        above = [pair for pair in found if pair.similarity > limit]
        if above:
            raise DataError(
                f"It is {above[0].similarity:.1%} like {above[0].first.where}, a {split} example.",
                hint="That one must stay unseen by training; [data] near_duplicate_threshold "
                f"is {limit:g} now.",
            )


def typed_json(name: str, text: str, annotation: Any) -> Any:
    """Return a value as a JSON file holds it, checked against its type.

    Raises:
        DataError: it is not of its type.
    """
    typed_value(name, text, annotation)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _refuse_constant(name: str) -> None:
    raise DataError(f"{name} is not a valid value of an example.", hint="Write null, or a number.")


def _last_file(project: Project) -> Path:
    """Return the file of the training examples that another one is appended to."""
    try:
        return files_of(project.root, project.data.train)[-1]
    except DataError:
        return project.path(project.data.train)


def _readable_rows(path: Path, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        return [renamed(row, fields) for _, row in read_rows(path) if isinstance(row, dict)]
    except DataError:
        return []


def _text(values: Mapping[str, Any], inputs: Collection[str]) -> str:
    return " ".join(as_text(values.get(name, "")) for name in inputs)


def _type_name(annotation: Any) -> str:
    if annotation is None:
        return "JSON"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _choices(texts: Sequence[str]) -> tuple[str, ...]:
    """Return all values of a field, where there are so few that most of them occur again."""
    different = sorted(set(texts))
    is_few = len(different) <= _MOST_CHOICES and 2 * len(different) <= len(texts)
    return tuple(different) if is_few and all(len(text) <= _LONG for text in different) else ()


def _free_id(taken: Collection[str]) -> str:
    number = 1
    while f"try-{number}" in taken:
        number += 1
    return f"try-{number}"

"""What is wrong in a project file, told all at once: each problem with its line and its field."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from engine.ground.errors import ProjectError
from engine.project.toml_lines import Place, TomlLines

_HINT = "Correct it; `promptgrad init DIR` writes an example with every section explained."

_WANTED = {"int_": "a whole number", "float_": "a number", "bool_": "true or false", "string_type": "text"}
"""What a value should be, by how pydantic's name for the problem begins."""


class Problems:
    """Collects what pydantic finds wrong in the parts of a file, as sentences for a person."""

    def __init__(self) -> None:
        self._sentences: dict[Place, str] = {}

    def __bool__(self) -> bool:
        return bool(self._sentences)

    @property
    def sentences(self) -> Mapping[Place, str]:
        """What is wrong, by where it is: {("optimizer", "epochs"): "optimizer.epochs = 0 should be ..."}."""
        return self._sentences

    def validate(
        self, model: type[Any], data: Mapping[str, Any], at: Place = (), also_known: Iterable[str] = ()
    ) -> Any:
        """Return `model` made of the `data` of the section `at`; None if there is a problem.

        `also_known` are names that the section has beside those of `model`.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for found in error.errors():
                inside = tuple(str(part) for part in found["loc"])
                known = [*_field_names(model, inside[:-1]), *also_known]
                self._sentences[at + inside] = _sentence(".".join(at + inside), inside, found, known)
        return None

    def as_error(self, file_name: str, lines: TomlLines, overrides: Collection[str]) -> ProjectError:
        """Return everything as one error, in the order of the file; `overrides` have no line."""
        told = []
        for place, sentence in self._sentences.items():
            line = lines.find(place) or 0
            if any(".".join(place[:end]) in overrides for end in range(1, len(place) + 1)):
                told.append((0, f"--set: {sentence}"))
            else:
                told.append((line, f"line {line}: {sentence}" if line else sentence))
        sentences = [sentence for _, sentence in sorted(told)]
        if len(sentences) == 1:
            end = "" if sentences[0].endswith("?") else "."
            return ProjectError(f"{file_name}, {sentences[0]}{end}", hint=_HINT)
        listed = "\n".join(f"  {sentence}" for sentence in sentences)
        return ProjectError(f"{file_name} has {len(sentences)} problems:\n{listed}", hint=_HINT)


def _sentence(name: str, inside: Place, found: Any, known: Collection[str]) -> str:
    kind = found["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        close = difflib.get_close_matches(inside[-1], known, n=1)
        return f"{name} is unknown; " + (
            f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known))}"
        )
    if kind == "missing":
        return f"{name} is missing" if "." in name else f"[{name}] is missing"
    if kind == "value_error":
        return f"[{name}] {found['ctx']['error']}"
    if kind in ("model_type", "dataclass_type"):
        return f"{name} must be a section: [{name}]"
    if kind == "string_pattern_mismatch" and r"\.py:" in found["ctx"]["pattern"]:
        return f'{name} = {found["input"]!r}: write it as "file.py:name"'
    for prefix, wanted in _WANTED.items():
        if kind.startswith(prefix):
            return f"{name} = {found['input']!r} should be {wanted}"
    message = found["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{name} = {found['input']!r} {message[0].lower()}{message[1:]}"


def _field_names(model: Any, tables: Place) -> list[str]:
    """Return the fields of a section inside `model`; a table with free keys has none."""
    for table in tables:
        fields = getattr(model, "__pydantic_fields__", {})
        model = fields[table].annotation if table in fields else None
    return list(getattr(model, "__pydantic_fields__", {}))

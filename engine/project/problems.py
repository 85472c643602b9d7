"""All problems of a project file at once, each with its line and its field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from engine.ground.errors import ProjectError
from engine.ground.spelling import closest
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

        `also_known` are names that the section has besides those of `model`.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for problem in error.errors():
                inside = tuple(str(part) for part in problem["loc"])
                known = [*_field_names(model, inside[:-1]), *also_known]
                if len(inside) == 1 and inside[0] not in known:
                    known += [f"{name}.{inside[0]}" for name in _sections_with(model, inside[0])]
                self._sentences[at + inside] = _sentence(".".join(at + inside), inside, problem, known)
        return None

    def as_error(self, file: Path, lines: TomlLines, overrides: Collection[str]) -> ProjectError:
        """Return everything as one error, in the order of the file; `overrides` have no line."""
        problems = []
        for place, sentence in self._sentences.items():
            line = lines.find(place) or 0
            if _is_given(place, overrides) or (not line and _is_set_inside(place, overrides)):
                problems.append((0, f"--set: {sentence}", place))
            else:
                problems.append((line, f"line {line}: {sentence}" if line else sentence, place))
        problems.sort()
        if len(problems) == 1:
            end = "" if problems[0][1].endswith("?") else "."
            message = f"{file.name}, {problems[0][1]}{end}"
        else:
            listed = "\n".join(f"  {sentence}" for _, sentence, _ in problems)
            message = f"{file.name} has {len(problems)} problems:\n{listed}"
        first_line = next((line for line, _, _ in problems if line), 0)
        return ProjectError(message, hint=_HINT, file=file, line=first_line, field=".".join(problems[0][2]))


def _is_given(place: Place, overrides: Collection[str]) -> bool:
    """Whether an override sets what is at a place, or all that it is in."""
    return any(f"{'.'.join(place)}.".startswith(f"{key}.") for key in overrides)


def _is_set_inside(place: Place, overrides: Collection[str]) -> bool:
    """Whether an override sets something in a section."""
    return any(key.startswith(f"{'.'.join(place)}.") for key in overrides)


def _sentence(name: str, inside: Place, problem: Any, known: Collection[str]) -> str:
    kind = problem["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        elsewhere = [one for one in known if one.endswith(f".{inside[-1]}")]
        meant = " or ".join(elsewhere) or closest(inside[-1], known)
        others = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(known))}"
        return f"{name} is unknown; {others}"
    if kind == "missing":
        return f"{name} is missing" if "." in name else f"[{name}] is missing"
    if kind == "value_error":
        return f"[{name}] {problem['ctx']['error']}"
    if kind in ("model_type", "dataclass_type"):
        return f"{name} must be a section: [{name}]"
    if kind == "tuple_type" and isinstance(problem["input"], dict):
        return f"{name} must be a list of sections: [[{name}]]"
    if kind == "string_pattern_mismatch" and r"\.py:" in problem["ctx"]["pattern"]:
        return f'{name} = {problem["input"]!r}: write it as "file.py:name"'
    for prefix, wanted in _WANTED.items():
        if kind.startswith(prefix):
            return f"{name} = {problem['input']!r} should be {wanted}"
    message = problem["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{name} = {problem['input']!r} {message[0].lower()}{message[1:]}"


def _sections_with(model: Any, name: str) -> list[str]:
    """Return the sections of a model that have a field of that name."""
    sections = getattr(model, "__pydantic_fields__", {})
    return [section for section in sections if name in _names_of(sections[section].annotation)]


def _names_of(annotation: Any) -> list[str]:
    """Return the fields of a section's type, which may be optional."""
    return [name for one in (annotation, *get_args(annotation)) for name in _field_names(one, ())]


def _field_names(model: Any, tables: Place) -> list[str]:
    """Return the fields of a section inside `model`; a table with free keys has none.

    In a list of sections, each is at its number.
    """
    for table in tables:
        if get_origin(model) is tuple:
            model = get_args(model)[0]
            continue
        fields = getattr(model, "__pydantic_fields__", {})
        model = fields[table].annotation if table in fields else None
    return list(getattr(model, "__pydantic_fields__", {}))
